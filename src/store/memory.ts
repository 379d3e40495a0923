/** The store that keeps nothing beyond the room's own backlog: a restart begins anew, and old cursors are told of the gap. */
import { type Id, nextId } from "./id.js";
import { Keys } from "./keys.js";
import type { Draft, Kept, Message, Store } from "./store.js";

export class MemoryStore implements Store {
  readonly writable = true;
  readonly #keys: Keys;
  #last: Id = "0-0";
  #receive: (message: Message) => void = () => {};

  /** @param keep how many of the newest messages the room keeps; as many idempotency keys are remembered */
  constructor(keep: number) {
    this.#keys = new Keys(keep);
  }

  async open(receive: (message: Message) => void): Promise<Kept> {
    this.#receive = receive;
    this.#last = `${Date.now()}-0`;
    return { floor: this.#last, messages: [] };
  }

  append(draft: Draft): Promise<Message> {
    return this.#keys.once(draft, async () => {
      const at = Date.now();
      this.#last = nextId(this.#last, at);
      const { user, text, kind, key } = draft;
      const message: Message = { id: this.#last, user, text, at, ...(kind && { kind }) };
      this.#keys.keep(message, key);
      this.#receive(message);
      return message;
    });
  }

  async close(): Promise<void> {}
}
