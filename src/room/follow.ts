/**
 * A follower: code of the host's that listens. It is a poll that asks again by itself, from the cursor of what it
 * handed out last; nothing is queued for one that is slow, so nothing grows and nothing is lost. It is nobody: not
 * here, not counted, and it takes no place of people's polls.
 */
import type { Answer, Answers, Batch, Ending } from "./answers.js";
import type { Cursor } from "./backlog.js";
import { Waiter, Waiters } from "./waiters.js";

/** What a follower is handed. */
export type News = Pick<Batch, "cursor" | "present" | "messages" | "gap">;

/** The followers of a room, apart from people's polls. */
export class Followers {
  readonly #answers: Answers;
  readonly #waiters: Waiters;
  #ended = false;

  /** @param isBehind whether one has something to be told */
  constructor(answers: Answers, isBehind: (follower: Waiter) => boolean) {
    this.#answers = answers;
    this.#waiters = new Waiters({
      isBehind,
      settled: (follower, ending) => ending !== "gone" && this.#tell(follower, ending),
    });
  }

  /** One asks for what comes after its cursor. It is told "drained" when there is nothing, and will be nothing more. */
  ask(follower: Waiter): void {
    if (this.#ended) this.#tell(follower, "drained");
    else this.#waiters.hold(follower);
  }

  /** One asks no more. */
  gone(follower: Waiter): void {
    this.#waiters.settle(follower, "gone");
  }

  /** A message has arrived. */
  wake(): void {
    this.#waiters.wake();
  }

  /** There will be no more messages. */
  end(): void {
    this.#ended = true;
    this.#waiters.drain();
  }

  #tell(follower: Waiter, ending: Ending): void {
    follower.answer(this.#answers.to(follower.cursor, "message"), ending);
  }
}

export class Follower extends Waiter implements AsyncIterableIterator<News> {
  readonly #followers: Followers;
  #last: Promise<unknown> = Promise.resolve();
  #hand: ((result: IteratorResult<News, undefined>) => void) | undefined;
  #signal: AbortSignal | undefined;
  #ended = false;

  constructor(followers: Followers, since: Cursor, signal: AbortSignal | undefined) {
    super("", since, Number.POSITIVE_INFINITY);
    this.#followers = followers;
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

  /** Is told. "drained": there is nothing more to come. */
  answer({ batch }: Answer, ending: Ending): void {
    if (batch.messages.length > 0 || batch.gap) {
      this.cursor = batch.cursor;
      // A copy, for the host to do with as it likes: others have the same batch.
      this.#hand?.({ done: false, value: { ...batch, messages: [...batch.messages] } });
    } else if (ending === "drained") {
      this.#end();
    } else {
      this.#followers.ask(this);
    }
  }

  #ask(): Promise<IteratorResult<News, undefined>> {
    return new Promise((resolve) => {
      this.#hand = resolve;
      if (this.#ended) resolve({ done: true, value: undefined });
      else this.#followers.ask(this);
    });
  }

  // An arrow function, as it is a listener too.
  readonly #end = (): void => {
    this.#ended = true;
    this.#signal?.removeEventListener("abort", this.#end);
    this.#signal = undefined;
    this.#followers.gone(this);
    this.#hand?.({ done: true, value: undefined });
  };
}
