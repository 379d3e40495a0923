/** A store in memory: after a restart the room is empty, and the first poll with an old cursor reports a gap. */
import { type Id, nextId } from "../feed/id.js";
import type { Message, NewMessage, Receive, Snapshot, Store } from "./store.js";

/** A message and its idempotency key. */
export type Stored = { readonly message: Message; readonly key: string | undefined };

/** The messages that a store on a disk has found, oldest first, perhaps more than it keeps, and the id before them. */
export type Found = { readonly lastPrunedId: Id; readonly stored: readonly Stored[] };

/**
 * Keeps messages until the process ends. A store on a disk is built on it: it gives messages their ids and applies
 * idempotency keys. A key is known from the moment its append begins until its message leaves the backlog, or the append
 * fails.
 */
export class MemoryStore implements Store {
  readonly writable = true;
  /** Where messages are kept, in words. */
  readonly place = "memory";
  #receive: Receive = () => {};
  /** The id that was given last, perhaps to a post that was refused: no id is used twice. */
  #lastId: Id = "0-0";
  // By user and key.
  readonly #pending = new Map<string, Promise<Message>>();
  readonly #kept = new Map<string, Message>();
  /** Its next value is the key of the oldest kept message. A new iterator would first pass all those that were deleted. */
  readonly #oldest = this.#kept.keys();
  #backlog = 0;

  /** @param found what a store on a disk has found there; default: nothing */
  async open(receive: Receive, _reset?: unknown, backlog = 1000, found?: Found): Promise<Snapshot> {
    const { lastPrunedId, stored }: Found = found ?? { lastPrunedId: `${Date.now()}-0`, stored: [] };
    this.#backlog = backlog;
    this.#lastId = stored.at(-1)?.message.id ?? lastPrunedId;
    const messages = stored.slice(-backlog).map((one) => this.#keep(one));
    this.#receive = receive;
    return { lastPrunedId: stored.at(-backlog - 1)?.message.id ?? lastPrunedId, messages };
  }

  /** @param persist resolves, in the order of its calls, when the message is on a disk; by default it is kept at once */
  async append(newMessage: NewMessage, persist?: (stored: Stored) => Promise<void>): Promise<Message> {
    const { user, text, kind, key } = newMessage;
    const at = Date.now();
    const message: Message = { id: nextId(this.#lastId, at), user, text, at, ...(kind && { kind }) };
    const stored = { message, key };
    const scoped = scopedKey(stored);
    const known = this.#kept.get(scoped) ?? this.#pending.get(scoped);
    if (known) return known;
    this.#lastId = message.id;
    if (!persist) return this.#keep(stored);
    const appended = persist(stored).then(() => this.#keep(stored));
    this.#pending.set(scoped, appended);
    return appended.finally(() => this.#pending.delete(scoped));
  }

  async close(): Promise<void> {}

  #keep(stored: Stored): Message {
    this.#kept.set(scopedKey(stored), stored.message);
    if (this.#kept.size > this.#backlog) this.#kept.delete(this.#oldest.next().value ?? "");
    this.#receive(stored.message);
    return stored.message;
  }
}

/** Returns the key with its user, or the id of a message without a key. */
function scopedKey({ message: { id, user }, key }: Stored): string {
  return key === undefined ? id : `${user.length} ${user}${key}`;
}
