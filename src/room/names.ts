/**
 * Names, and whose they are. A name belongs to the session that took it last; when another takes it, or it is given
 * up, the earlier session has ended. The register is memory only: after a restart a good cookie takes its name up
 * again, and of two for one name the newer login wins.
 */

/** A name, and the form in which two names are compared. */
export interface Name {
  /** As it is shown: NFC, trimmed. */
  readonly name: string;
  /** NFKC and lower case: two names with the same key are the same name. */
  readonly key: string;
}

/** One login. */
export interface Session extends Name {
  /** Random; tells one login from another. */
  readonly id: string;
  /** When the login was, in milliseconds since the Unix epoch. */
  readonly since: number;
}

/** The longest name, in code points. */
export const NAME_LENGTH = 32;

/** Reads a name as a person typed it; a name that breaks a rule gives the rule. */
export function parseName(raw: string): Name | { readonly rule: string } {
  const name = raw.normalize("NFC").trim();
  if (/^\p{Default_Ignorable_Code_Point}*$/u.test(name))
    return { rule: "A name needs at least one character." };
  if ([...name].length > NAME_LENGTH) return { rule: `A name has at most ${NAME_LENGTH} characters.` };
  if (name === "." || name === "..") return { rule: "A name cannot be . or .." };
  if (/[/\\]/.test(name)) return { rule: "A name has no slash in it." };
  // Control, format (zero-width, bidi), private use, half a character, line and paragraph separators.
  if (/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/u.test(name)) {
    return { rule: "A name has no control, invisible or private-use characters." };
  }
  return { name, key: nameKey(name) };
}

/** The form in which two names are compared. */
export function nameKey(name: string): string {
  return name.normalize("NFKC").toLowerCase();
}

interface Owner {
  /** The session's id, or undefined when the name was given up. */
  readonly id: string | undefined;
  readonly name: string;
  readonly since: number;
  /** Until when the name is held although its owner is not present, by `Date.now()`. */
  heldUntil: number;
}

export class Names {
  readonly #owners = new Map<string, Owner>();
  readonly #grace: number;
  readonly #isPresent: (user: string) => boolean;

  /**
   * @param grace milliseconds for which a login or a post holds the name of somebody who is not present
   * @param isPresent whether somebody is here
   */
  constructor(grace: number, isPresent: (user: string) => boolean) {
    this.#grace = grace;
    this.#isPresent = isPresent;
  }

  /** Takes a name for a new session. False, and nothing changes, when somebody else holds it. */
  claim(session: Session): boolean {
    const owner = this.#owners.get(session.key);
    if (owner && owner.id !== session.id && this.#isHeld(owner)) return false;
    this.#own(session);
    return true;
  }

  /** Whether a session still has its name. The first to ask after a restart gets it back. */
  has(session: Session): boolean {
    const owner = this.#owners.get(session.key);
    if (owner?.id === session.id) return true;
    if (owner && session.since <= owner.since) return false;
    this.#own(session);
    return true;
  }

  /** When the login was that has this name now, in milliseconds since the Unix epoch. */
  since(name: string): number | undefined {
    return this.#owners.get(nameKey(name))?.since;
  }

  /** Holds a name on for the grace time, for an owner who was heard of in another way than by a poll. */
  hold(session: Session): void {
    const owner = this.#owners.get(session.key);
    if (owner?.id === session.id) owner.heldUntil = Date.now() + this.#grace;
  }

  /** Lets others take the name at once, while its owner is not present. */
  release(session: Session): void {
    const owner = this.#owners.get(session.key);
    if (owner?.id === session.id) owner.heldUntil = 0;
  }

  /** Ends a session: its name is free, and no cookie from before now is good for it. */
  end(session: Session): void {
    if (this.#owners.get(session.key)?.id !== session.id) return;
    const since = Math.max(Date.now(), session.since);
    this.#owners.set(session.key, { id: undefined, name: session.name, since, heldUntil: 0 });
  }

  #own(session: Session): void {
    const { id, key, name, since } = session;
    this.#owners.set(key, { id, name, since, heldUntil: Date.now() + this.#grace });
  }

  #isHeld(owner: Owner): boolean {
    return owner.id !== undefined && (this.#isPresent(owner.name) || owner.heldUntil > Date.now());
  }
}
