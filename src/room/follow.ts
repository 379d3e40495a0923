/**
 * A follower: code of the host's that listens. It is a poll that asks again by itself, from the cursor of what it
 * handed out last; nothing is queued for one that is slow, so nothing grows and nothing is lost. It is nobody: not
 * here, not counted, and it takes no place of people's polls.
 */
import type { Answer, Batch, Ending } from "./answers.js";
import type { Cursor } from "./backlog.js";
import { Waiter } from "./waiters.js";

/** What a follower is handed. */
export type News = Pick<Batch, "cursor" | "present" | "messages" | "gap">;

/** What a follower needs of the room. */
export interface Followed {
  /** Asks for what comes after the follower's cursor. */
  follow(follower: Waiter): void;
  /** The follower asks no more. */
  unfollow(follower: Waiter): void;
}

export class Follower extends Waiter implements AsyncIterableIterator<News> {
  readonly #room: Followed;
  #last: Promise<unknown> = Promise.resolve();
  #hand: ((result: IteratorResult<News, undefined>) => void) | undefined;
  #signal: AbortSignal | undefined;
  #ended = false;

  constructor(room: Followed, since: Cursor, signal: AbortSignal | undefined) {
    super("", since, Number.POSITIVE_INFINITY);
    this.#room = room;
    this.#signal = signal;
    if (signal?.aborted) this.#end();
    else signal?.addEventListener("abort", this.#end);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next news, when there is some. Calls that do not wait for each other are answered in their order. */
  next(): Promise<IteratorResult<News, undefined>> {
    const next = this.#last.then(() => this.#ask());
    this.#last = next;
    return next;
  }

  /** Ends it, also while `next` waits. */
  async return(): Promise<IteratorResult<News, undefined>> {
    this.#end();
    return { done: true, value: undefined };
  }

  /** Called by the room. "drained": there is nothing more to come. */
  answer({ batch }: Answer, ending: Ending): void {
    if (batch.messages.length > 0 || batch.gap) {
      this.cursor = batch.cursor;
      this.#hand?.({ done: false, value: batch });
    } else if (ending === "drained") {
      this.#end();
    } else {
      this.#room.follow(this);
    }
  }

  #ask(): Promise<IteratorResult<News, undefined>> {
    return new Promise((resolve) => {
      this.#hand = resolve;
      if (this.#ended) resolve({ done: true, value: undefined });
      else this.#room.follow(this);
    });
  }

  // An arrow function, as it is a listener too.
  readonly #end = (): void => {
    this.#ended = true;
    this.#signal?.removeEventListener("abort", this.#end);
    this.#signal = undefined;
    this.#room.unfollow(this);
    this.#hand?.({ done: true, value: undefined });
  };
}
