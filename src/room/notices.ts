/**
 * Join and leave notices: coming and going, told in the conversation while the room is small enough to care. Who says
 * good-bye and is back in a moment has only reloaded a page, so a good-bye is told a little later, or not at all.
 */
import { type Leaving, NOTICES_UP_TO, RELOAD_TIME } from "../store/neighbours.js";
import type { Store } from "../store/store.js";

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

  /** Somebody who was here leaves: after a good-bye they may be back in a moment. */
  left(user: string, how: Leaving): void {
    if (how === "log-out") this.departed(user);
    else this.#goodbyes.set(user, setTimeout(() => this.departed(user), RELOAD_TIME).unref());
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
