/**
 * What processes that share a store tell each other about people: whose a name is, who is here, who says good-bye. What
 * one process tells, all of them hear, itself too, in one order; so all see the same people.
 */
/**
 * How many characters at the start of a login's id are that of the form it came from. Two logins under one name from one
 * form are the same login: a double click, say.
 */
export const FORM_ID_LENGTH = 16;

/** A name and the login that has it. */
export interface Owner {
  /** The form in which two names are compared. */
  readonly key: string;
  readonly name: string;
  /** The login's id: the form's, and a random rest. Empty when the name was given up. */
  readonly id: string;
  /** When the login was, in milliseconds since the Unix epoch; of two for one name the newer wins. */
  readonly since: number;
}

/** While at most so many people are here, coming and going is told. Above that only the count moves. */
export const NOTICES_UP_TO = 50;
/** How long a good-bye is kept back, in milliseconds. */
export const RELOAD_TIME = 5_000;

/** How somebody leaves: perhaps to be back in a moment, or for good. */
export type Leaving = "good-bye" | "log-out";

/** One process, as its neighbours see it. */
export interface Resident {
  /** How long somebody is here after the last poll, and a name is held after a login, in milliseconds. */
  readonly grace: number;
  /** How many names are remembered. */
  readonly maxNames: number;
  /** Who is here on this process, and for how many milliseconds more; undefined while a poll is held. */
  here(): Iterable<readonly [user: string, left: number | undefined]>;
  /** All that is known, at the start and whenever something was missed: whose the names are, and who is here. */
  met(owners: Iterable<Owner>, here: Iterable<string>): void;
  /** A name has this owner now. */
  owned(owner: Owner): void;
  /** Somebody is here now, or not any more. @param isOwn whether this process itself had told of it */
  came(user: string, isOwn: boolean): void;
  went(user: string): void;
  /** Somebody's page says good-bye (that of one client, or all there are): polls that are held for it can go. */
  left(user: string, client: string | undefined): void;
}

export interface Neighbours {
  /** Takes part; once, as soon as the store is open. `met` is called before this returns. */
  join(resident: Resident): void;
  /** As `Names.claim`, among all processes. Rejects with `StoreUnavailable`. */
  claim(owner: Owner, instead?: string): Promise<Owner | "taken" | "full">;
  /** A good cookie took its name up again, or a login has ended (`was` is its id). */
  own(owner: Owner, was?: string): void;
  /** Holds a name on for so many milliseconds; 0 lets it go. */
  hold(key: string, ms: number): void;
  /** Somebody who was away is here, for so many milliseconds; undefined while a poll is held. The first to say so makes the notice. */
  arrived(user: string, left: number | undefined): void;
  /** Somebody's page says good-bye (of one client, or all there are), or a login ends. */
  left(user: string, client: string | undefined, how: Leaving): void;
  /** Tells at once what was to be told, and waits until the others can hear it. Never rejects: what fails is told later. */
  told(): Promise<void>;
}
