/**
 * Join and leave notices: coming and going, told in the conversation while the room is small enough to care. Who says
 * good-bye and is back in a moment has only reloaded a page, so a good-bye is told a little later, or not at all.
 */
import type { Store } from "../store/store.js";

/** While at most so many people are here, coming and going is told. Above that only the count moves. */
const NOTICES_UP_TO = 50;
/** How long a good-bye is kept back, in milliseconds. */
const RELOAD_TIME = 5_000;

export class Notices {
  readonly #store: Store;
  readonly #present: () => number;
  readonly #goodbyes = new Map<string, NodeJS.Timeout>();

  /** @param present how many people are here */
  constructor(store: Store, present: () => number) {
    this.#store = store;
    this.#present = present;
  }

  /** Somebody came. */
  arrived(user: string): void {
    if (!this.#takeBack(user)) this.#tell("join", user);
  }

  /** Somebody came back whose absence others have not noticed. */
  returned(user: string): void {
    this.#takeBack(user);
  }

  /** Somebody went for good. */
  departed(user: string): void {
    this.#takeBack(user);
    this.#tell("leave", user);
  }

  /** Somebody said good-bye, but may be back in a moment. */
  saidGoodbye(user: string): void {
    const timer = setTimeout(() => this.departed(user), RELOAD_TIME);
    this.#goodbyes.set(user, timer.unref());
  }

  /** Tells nothing more. */
  stop(): void {
    for (const timer of this.#goodbyes.values()) clearTimeout(timer);
    this.#goodbyes.clear();
  }

  #takeBack(user: string): boolean {
    clearTimeout(this.#goodbyes.get(user));
    return this.#goodbyes.delete(user);
  }

  #tell(kind: "join" | "leave", user: string): void {
    if (this.#present() > NOTICES_UP_TO) return;
    // A notice that could not be kept is not worth a word of its own: the store has reported its trouble.
    this.#store.append({ kind, user, text: "" }).catch(() => undefined);
  }
}
