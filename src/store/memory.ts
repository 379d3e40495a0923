/** A store in memory: after a restart the room is empty, and the first poll with an old cursor reports a gap. */
import { Appender } from "./appender.js";
import type { Message, NewMessage, Receive, Snapshot, Store } from "./store.js";

/** Keeps messages until the process ends. */
export class MemoryStore implements Store {
  readonly writable = true;
  readonly #appender = new Appender();

  async open(receive: Receive, _reset?: unknown, backlog = 1000): Promise<Snapshot> {
    const lastPrunedId = `${Date.now()}-0` as const;
    this.#appender.start(receive, backlog, lastPrunedId);
    return { lastPrunedId, messages: [] };
  }

  append(newMessage: NewMessage): Promise<Message> {
    return this.#appender.append(newMessage, async (stored) => this.#appender.kept(stored));
  }

  async close(): Promise<void> {}
}
