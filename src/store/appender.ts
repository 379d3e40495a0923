/**
 * What the stores of one process have in common: it gives messages their ids and applies idempotency keys. A key is known
 * from the moment its append begins until its message leaves the backlog. The key of an append that fails is forgotten.
 */
import { type Id, nextId } from "../feed/id.js";
import type { Message, NewMessage, Receive } from "./store.js";

/** A message and its idempotency key. */
export interface Stored {
  readonly message: Message;
  readonly key: string | undefined;
}

export class Appender {
  #receive: Receive = () => {};
  /** The id that was given last, perhaps to a post that was refused: no id is used twice. */
  #lastId: Id = "0-0";
  readonly #known = new Map<string, Message | Promise<Message>>();
  /** The scoped keys of the newest messages, in a ring. */
  readonly #newest: (string | undefined)[] = [];
  #keep = 0;
  #count = 0;

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
  append(
    { user, text, kind, key }: NewMessage,
    persist: (stored: Stored) => Promise<void>,
  ): Promise<Message> {
    const scoped = scopedKey(user, key);
    const known = scoped === undefined ? undefined : this.#known.get(scoped);
    if (known) return Promise.resolve(known);
    const at = Date.now();
    this.#lastId = nextId(this.#lastId, at);
    const message: Message = { id: this.#lastId, user, text, at, ...(kind && { kind }) };
    const appended = persist({ message, key }).then(() => message);
    if (scoped !== undefined) {
      this.#known.set(scoped, appended);
      appended.catch(() => this.#known.delete(scoped));
    }
    return appended;
  }

  /** Remembers the key of a message that is kept, and hands the message to the chat. */
  kept({ message, key }: Stored): void {
    const place = this.#count++ % this.#keep;
    const expired = this.#newest[place];
    if (expired !== undefined) this.#known.delete(expired);
    const scoped = scopedKey(message.user, key);
    this.#newest[place] = scoped;
    if (scoped !== undefined) this.#known.set(scoped, message);
    this.#receive(message);
  }
}

function scopedKey(user: string, key: string | undefined): string | undefined {
  return key === undefined ? undefined : `${user.length} ${user}${key}`;
}
