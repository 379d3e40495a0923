/**
 * A store in memory: after a restart the room is empty, and the first poll with an old cursor reports a gap. And its part
 * that gives messages their ids and applies idempotency keys, with which the file store begins, too.
 */
import { type Id, nextId } from "../feed/id.js";
import type { Message, NewMessage, Receive, Snapshot, Store } from "./store.js";

/** A message and its idempotency key. */
export interface Stored {
  readonly message: Message;
  readonly key: string | undefined;
}

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

/** A key is known from the moment its append begins until its message leaves the backlog. That of an append that fails is forgotten. */
export class Appender {
  #receive: Receive = () => {};
  /** The id that was given last, perhaps to a post that was refused: no id is used twice. */
  #lastId: Id = "0-0";
  // By user and key.
  readonly #pending = new Map<string, Promise<Message>>();
  readonly #kept = new Map<string, Message>();
  /** Goes on at the oldest kept message. A new iterator would first pass all those that were deleted. */
  readonly #oldest = this.#kept.keys();
  #keep = 0;

  /**
   * Starts, once.
   * @param keep how many of the newest messages keep their keys, at least 1
   * @param stored the messages that are kept already, oldest first
   */
  start(receive: Receive, keep: number, lastId: Id, stored: readonly Stored[] = []): void {
    this.#keep = keep;
    this.#lastId = stored.at(-1)?.message.id ?? lastId;
    for (const one of stored) this.kept(one);
    this.#receive = receive;
  }

  /**
   * Returns the message of the same user and key, if it is kept or pending, or else a new one.
   * @param persist keeps the message, calls `kept` in order, and resolves
   */
  async append(
    { user, text, kind, key }: NewMessage,
    persist: (stored: Stored) => Promise<void>,
  ): Promise<Message> {
    const at = Date.now();
    const message: Message = { id: nextId(this.#lastId, at), user, text, at, ...(kind && { kind }) };
    const stored = { message, key };
    const scoped = scopedKey(stored);
    const known = this.#kept.get(scoped) ?? this.#pending.get(scoped);
    if (known) return known;
    this.#lastId = message.id;
    const appended = persist(stored).then(() => message);
    this.#pending.set(scoped, appended);
    return appended.finally(() => this.#pending.delete(scoped));
  }

  /** Remembers a message that is kept, with its key, and hands it to the chat. */
  kept(stored: Stored): void {
    this.#kept.set(scopedKey(stored), stored.message);
    if (this.#kept.size > this.#keep) this.#kept.delete(this.#oldest.next().value ?? "");
    this.#receive(stored.message);
  }
}

/** Returns the key with its user, or the id of a message without a key. */
function scopedKey({ message: { id, user }, key }: Stored): string {
  return key === undefined ? id : `${user.length} ${user}${key}`;
}
