/**
 * Names, and whose they are. A name belongs to the session that took it last; when another takes it, or it is given
 * up, the earlier session has ended. The register is memory only: after a restart a good cookie takes its name up
 * again, and of two for one name the newer login wins. With neighbours, who claims a name asks them all (`People.claim`), and
 * this is what one process knows of it.
 */
import type { Neighbours, Owner } from "../store/neighbours.js";
import { nameKey } from "./text.js";

/** One login: its name, and a random id that tells it from another. */
export type Session = Owner;

interface Held extends Omit<Owner, "key"> {
  /** Until when the name is held although its owner is not present, by `Date.now()`. */
  heldUntil: number;
}

/** So many names are looked at for one that may be forgotten. */
const LOOKS = 100;

export interface NamesOptions {
  /** How many names are remembered. */
  readonly maxNames: number;
  /** How long somebody is still here after their last poll, and a login or a post holds a name, in milliseconds. */
  readonly grace: number;
  /** Whether somebody is here. */
  readonly isPresent: (user: string) => boolean;
  /** Is told of a name that was forgotten to make room. */
  readonly forgotten: (user: string) => void;
  /** Are told of what changes here. */
  readonly neighbours?: Neighbours | undefined;
}

export class Names {
  // Roughly by age: who is looked at and still held goes to the end.
  readonly #owners = new Map<string, Held>();
  readonly #options: NamesOptions;

  constructor(options: NamesOptions) {
    this.#options = options;
  }

  /** Takes a name for a new session. Nothing changes when somebody else holds it, or all names there can be are held. */
  claim(session: Session): "yours" | "taken" | "full" {
    const owner = this.#owners.get(session.key);
    if (owner && owner.id !== session.id && this.#isHeld(owner)) return "taken";
    return this.#own(session) ? "yours" : "full";
  }

  /** Whether a session has its name, or would get it back. Changes nothing. */
  mayHave({ key, id, since }: Session): boolean {
    const owner = this.#owners.get(key);
    return !owner || owner.id === id || since > owner.since;
  }

  /** Whether a session still has its name. The first to ask after a restart gets it back. */
  has(session: Session): boolean {
    if (this.#owners.get(session.key)?.id === session.id) return true;
    if (!this.mayHave(session)) return false;
    const owns = this.#own(session);
    if (owns) this.#options.neighbours?.own(session);
    return owns;
  }

  /** A name has this owner now, as a neighbour tells. */
  told(owner: Owner): void {
    // Unless it was told before it was known of the newer login that we know of.
    if (owner.since >= (this.#owners.get(owner.key)?.since ?? 0)) this.#own(owner);
  }

  /** Whose a name is now, as far as is known here. */
  owner(name: string): Owner | undefined {
    const key = nameKey(name);
    const owner = this.#owners.get(key);
    return owner && { key, name: owner.name, id: owner.id, since: owner.since };
  }

  /** Holds a name on, for the grace time or `ms`, for an owner who was heard of in another way than by a poll. */
  hold(session: Session, ms = this.#options.grace): void {
    const owner = this.#owners.get(session.key);
    if (owner?.id !== session.id) return;
    owner.heldUntil = performance.now() + ms;
    this.#options.neighbours?.hold(session.key, ms);
  }

  /** Lets others take the name at once, while its owner is not present. */
  release(session: Session): void {
    this.hold(session, 0);
  }

  /** Ends a session: its name is free, and no cookie from before now is good for it. */
  end(session: Session): void {
    if (this.#owners.get(session.key)?.id !== session.id) return;
    const givenUp = { ...session, id: "", since: Math.max(Date.now(), session.since) };
    this.#own(givenUp);
    this.#options.neighbours?.own(givenUp, session.id);
  }

  #own({ id, key, name, since }: Owner): boolean {
    const before = this.#owners.get(key);
    if (!before && !this.#makeRoom()) return false;
    if (before && before.name !== name) this.#options.forgotten(before.name);
    const heldUntil = performance.now() + (id === "" ? 0 : this.#options.grace);
    this.#owners.set(key, { id, name, since: Math.max(since, before?.since ?? 0), heldUntil });
    return true;
  }

  /** Forgets a name that nobody holds, when there are too many. An old cookie of it could then be used again. */
  #makeRoom(): boolean {
    if (this.#owners.size < this.#options.maxNames) return true;
    let looks = 0;
    for (const [key, owner] of this.#owners) {
      this.#owners.delete(key);
      if (!this.#isHeld(owner)) {
        this.#options.forgotten(owner.name);
        return true;
      }
      this.#owners.set(key, owner);
      if (++looks === LOOKS) break;
    }
    return false;
  }

  #isHeld(owner: Held): boolean {
    if (owner.id === "") return false;
    return this.#options.isPresent(owner.name) || owner.heldUntil > performance.now();
  }
}
