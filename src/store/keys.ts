/**
 * The idempotency keys of the newest messages. An append is known by its key from the moment it begins, so that two
 * posts of one key that arrive together are one message, and until its message leaves the backlog. One that fails is
 * forgotten, and pushes no other key out.
 */
import type { Draft, Message } from "./store.js";

export class Keys {
  readonly #underWay = new Map<string, Promise<Message>>();
  readonly #kept = new Map<string, { readonly message: Message; readonly turn: number }>();
  readonly #keep: number;
  #turn = 0;

  /** @param keep how many of the newest messages keep their keys */
  constructor(keep: number) {
    this.#keep = keep;
  }

  /** The message of the same user and key, kept or on its way, or else the one that `append` begins. */
  once(draft: Draft, append: () => Promise<Message>): Promise<Message> {
    if (draft.key === undefined) return append();
    const name = nameOf(draft.user, draft.key);
    const kept = this.#kept.get(name);
    if (kept) return Promise.resolve(kept.message);
    const first = this.#underWay.get(name);
    if (first) return first;
    const message = append();
    this.#underWay.set(name, message);
    const end = () => this.#underWay.delete(name);
    message.then(end, end);
    return message;
  }

  /** To be told of every message that was kept, in order, with its key if it had one. */
  keep(message: Message, key: string | undefined): void {
    this.#turn++;
    if (key !== undefined) this.#kept.set(nameOf(message.user, key), { message, turn: this.#turn });
    for (const [name, { turn }] of this.#kept) {
      if (turn > this.#turn - this.#keep) break;
      this.#kept.delete(name);
    }
  }
}

function nameOf(user: string, key: string): string {
  return JSON.stringify([user, key]);
}
