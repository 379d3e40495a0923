import type { Draft, Message } from "./store.js";

/**
 * The idempotency keys of the newest messages. An entry is there from the moment its append begins, so that two
 * posts of one key that arrive together are one message, and goes when its message leaves the backlog.
 */
export class Keys {
  readonly #appends = new Map<string, { readonly message: Promise<Message>; readonly turn: number }>();
  readonly #keep: number;
  #turn = 0;

  /** @param keep how many of the newest messages keep their keys */
  constructor(keep: number) {
    this.#keep = keep;
  }

  /** The append of the same user and key, or else the one that `append` begins. A failed one is forgotten. */
  once(draft: Draft, append: () => Promise<Message>): Promise<Message> {
    if (draft.key === undefined) {
      this.#next();
      return append();
    }
    const name = JSON.stringify([draft.user, draft.key]);
    const first = this.#appends.get(name);
    if (first) return first.message;
    const message = append();
    this.#appends.set(name, { message, turn: this.#next() });
    message.catch(() => this.#appends.delete(name));
    return message;
  }

  #next(): number {
    const turn = ++this.#turn;
    for (const [name, append] of this.#appends) {
      if (append.turn > turn - this.#keep) break;
      this.#appends.delete(name);
    }
    return turn;
  }
}
