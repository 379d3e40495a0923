/** A store in memory: after a restart the room is empty, and old cursors are told of a gap. */
import { type Id, nextId } from "../feed/id.js";
import { IdempotencyKeys } from "./idempotency.js";
import type { Message, NewMessage, Snapshot, Store } from "./store.js";

export class MemoryStore implements Store {
  readonly writable = true;
  readonly #keys: IdempotencyKeys;
  #lastId: Id = "0-0";
  #receive: (message: Message) => void = () => {};

  /** @param keep how many idempotency keys are remembered: as many as the room keeps messages, at least 1 */
  constructor(keep: number) {
    this.#keys = new IdempotencyKeys(keep);
  }

  async open(receive: (message: Message) => void): Promise<Snapshot> {
    this.#receive = receive;
    this.#lastId = `${Date.now()}-0`;
    return { lastPrunedId: this.#lastId, messages: [] };
  }

  append(newMessage: NewMessage): Promise<Message> {
    return this.#keys.once(newMessage, async () => {
      const at = Date.now();
      this.#lastId = nextId(this.#lastId, at);
      const { user, text, kind, key } = newMessage;
      const message: Message = { id: this.#lastId, user, text, at, ...(kind && { kind }) };
      this.#keys.keep(message, key);
      this.#receive(message);
      return message;
    });
  }

  async close(): Promise<void> {}
}
