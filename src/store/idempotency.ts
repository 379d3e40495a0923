/**
 * The idempotency keys of the newest messages. A key is known from the moment its append begins, so two posts of one key
 * at the same time are one message, until its message leaves the backlog. The key of an append that fails is forgotten.
 */
import type { Message, NewMessage } from "./store.js";

export class IdempotencyKeys {
  readonly #pending = new Map<string, Promise<Message>>();
  readonly #kept = new Map<string, { readonly message: Message; readonly number: number }>();
  readonly #keep: number;
  #count = 0;

  /** @param keep how many of the newest messages keep their keys */
  constructor(keep: number) {
    this.#keep = keep;
  }

  /** Returns the message of the same user and key, if it is kept or pending, or else the one that `append` begins. */
  once({ user, key }: NewMessage, append: () => Promise<Message>): Promise<Message> {
    if (key === undefined) return append();
    const scoped = scopedKey(user, key);
    const kept = this.#kept.get(scoped);
    if (kept) return Promise.resolve(kept.message);
    const first = this.#pending.get(scoped);
    if (first) return first;
    const message = append();
    this.#pending.set(scoped, message);
    const end = () => this.#pending.delete(scoped);
    message.then(end, end);
    return message;
  }

  /** Takes note of a message that was kept, in order, with its key if it has one. */
  keep(message: Message, key: string | undefined): void {
    this.#count++;
    if (key !== undefined) this.#kept.set(scopedKey(message.user, key), { message, number: this.#count });
    for (const [scoped, { number }] of this.#kept) {
      if (number > this.#count - this.#keep) break;
      this.#kept.delete(scoped);
    }
  }
}

function scopedKey(user: string, key: string): string {
  return JSON.stringify([user, key]);
}
