/** The interface between processes that share a store: the owners of names, and the present members. */

/** One log-in. */
export interface Session {
  /** The form in which two names are compared. */
  readonly key: string;
  readonly name: string;
  /** Identifies the log-in among those of the same name. */
  readonly id: string;
  /** The time of the log-in, in milliseconds since the Unix epoch. Of two sessions of one name, the newer one is valid. */
  readonly since: number;
}

/** The session that owns the name now; `taken`: another session holds it; `full`: `maxNames` names are held. */
export type ClaimResult = Session | "taken" | "full";

/** The length of the id of a log-in form, with which the id of its session starts. */
export const FORM_ID_LENGTH = 16;

/** Returns whether two sessions came from one log-in form, which was submitted twice. */
export function isSameForm(id: string, other: string): boolean {
  return id !== "" && id.slice(0, FORM_ID_LENGTH) === other.slice(0, FORM_ID_LENGTH);
}

/**
 * A member is now present on a process (with the name as detail), or is not present there any more (`reload`, if that is
 * likely), or a page was closed, whose polls any process may hold (its id; empty: all pages of the member).
 */
export type Change = "join" | "leave" | "unload";

/** The members of this process, as the cluster uses them. */
export interface LocalMembers {
  /**
   * `grace`: how long a name is held, and its member is present, after the last sign of life, in milliseconds. `maxNames`:
   * how many names are remembered.
   */
  readonly options: { readonly grace: number; readonly maxNames: number };
  /**
   * Lists the sessions that are known here, with an empty `id` if the newest one has ended, and for how many milliseconds
   * they hold their names: Infinity while a poll is held, 0 or less if the name is free.
   */
  sessions(): Iterable<readonly [session: Session, ms: number]>;
  /** The members who are present here. */
  readonly present: Iterable<{ readonly key: string; readonly name: string }>;
  /** Applies that a session owns its name, or with an empty `id` that nobody does. An older session is ignored. */
  applyOwner(session: Session): void;
  /** Applies that a member is present on one more process. */
  applyJoin(key: string, name: string): void;
  /** Applies that a member is present on one process less. @param mayReturn whether a reload is likely */
  applyLeave(key: string, mayReturn: boolean): void;
  /** Applies that a page was closed: its polls end, or without a page all of the member's. */
  applyUnload(key: string, page: string | undefined): void;
}

/** The other processes. */
export interface Cluster {
  /** Joins the cluster, once, after the store was opened. */
  join(local: LocalMembers): void;
  /**
   * Takes a name for a new session. Returns the session that owns the name then: the earlier one, if both came from one
   * form. Rejects with `StoreUnavailable`; then the name is as before, or the same form can take it again.
   * @param replaced the id of the owner's session that the new one replaces; empty: none
   */
  claim(session: Session, replaced: string): Promise<ClaimResult>;
  /** Returns whether a session that is new to this process is still valid. Rejects with `StoreUnavailable`. */
  verify(session: Session): Promise<boolean>;
  /**
   * Holds a name for this many milliseconds; 0 frees it. With an empty `id`, all sessions before `since` end: their cookies
   * become invalid on every process. Resolves when the store has it. Never rejects.
   */
  hold(session: Session, ms: number): Promise<void>;
  /** Publishes a change on this process. Resolves when the store has it. Never rejects. */
  publish(change: Change, key: string, detail: string): Promise<void>;
}
