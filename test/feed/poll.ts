/** Polls that record how they are answered, and a clock that answers move. */
import { afterEach, beforeEach, vi } from "vitest";
import { type Batch, type Cursor, type Feed, type FinishReason, Waiter } from "../../src/feed/index.js";

/** The work that answers have done, in milliseconds. */
export const clock = { work: 0 };

/** Stops the time in the tests of a file. Timers run when the test advances them. */
export function stopClock(): void {
  beforeEach(() => {
    clock.work = 0;
    vi.useFakeTimers({ now: Date.UTC(2030, 0, 1) });
    vi.spyOn(performance, "now").mockImplementation(() => Date.now() + clock.work);
  });
  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });
}

export class Poll<E> extends Waiter<E> {
  /** What it was answered with. */
  readonly batches: Batch<E>[] = [];
  readonly bodies: (string | Buffer)[] = [];
  /** Why it was finished, also without an answer. */
  readonly reasons: FinishReason[] = [];
  /** Runs when it is answered. */
  onAnswer: (batch: Batch<E>) => void = () => {};

  constructor(cursor: Cursor | "now" = "now", wait = 10_000, client?: string) {
    super();
    Object.assign(this, { cursor, wait, client });
  }

  override finished(reason: FinishReason): void {
    this.reasons.push(reason);
  }

  answer(batch: Batch<E>, body: string | Buffer, reason: FinishReason): void {
    if (this.reasons.at(-1) !== reason)
      throw new Error(`answered for ${reason}, finished for ${this.reasons}`);
    this.batches.push(batch);
    this.bodies.push(body);
    this.onAnswer(batch);
  }

  /** The events of all answers, in order. */
  get events(): E[] {
    return this.batches.flatMap(({ events }) => events);
  }
}

/** Polls a feed, and returns the poll. */
export function poll<E>(feed: Feed<E>, ...args: ConstructorParameters<typeof Poll>): Poll<E> {
  const waiter = new Poll<E>(...args);
  feed.poll(waiter);
  return waiter;
}
