/**
 * A feed: ordered events for readers that disconnect and reconnect. Each reader has a cursor. Events that come between two
 * polls stay in the backlog, and the next poll with the same cursor gets them, unless they were pruned meanwhile. `poll` holds
 * the waiter and checks for events without an `await` between the two, so a poll misses no event.
 */
import { Backlog } from "./backlog.js";
import type { Batch, Snapshot } from "./batch.js";
import { createFlush } from "./flush.js";
import type { Id } from "./id.js";
import { type FinishReason, type Waiter, Waiters } from "./waiters.js";

/** Options of a feed. */
export interface FeedOptions<E> {
  /** How many events are kept, at least 1. Beyond that, the oldest event is pruned. Default 1,000. */
  readonly backlog?: number;
  /** How many polls may be held, at least 1. Default 10,000. `Feed.poll` describes what happens to one more. */
  readonly maxWaiters?: number;
  /**
   * How far the clocks of processes with a common store may differ, in milliseconds. A poll with a cursor after `lastId`
   * is held if the time in the cursor is before now + `clockSkew`, and has a gap otherwise. Default 0: it has a gap.
   */
  readonly clockSkew?: number;
  /** The state to start from. Default: no events, and a cursor of an earlier process is a gap. */
  readonly snapshot?: Snapshot<E>;
  /**
   * Returns the body of a reply. `events` is `batch.events` as JSON, which the feed has already. The feed caches the body
   * until the next event. Call `forgetReplies` if other data in it has changed. Default: `JSON.stringify(batch)` and a newline.
   */
  readonly encode?: (batch: Batch<E>, events: string) => string;
  /**
   * Called with an error that `encode`, `authorize` or a method of a waiter has thrown. That waiter is finished and its
   * `failed` is called; all others are answered. Must not throw. Default: `console.error`.
   */
  readonly onError?: (error: unknown, waiter?: Waiter<E>) => void;
}

/** The longest `retry`, in milliseconds. Each client waits a random time up to this value, then polls again. */
const MAX_RETRY_MS = 2000;
/** A body of this length in characters or more is shared as a Buffer. Node copies a string for each response, but not a Buffer. */
const SHARED_BODY_LENGTH = 4 * 1024;
/**
 * The total length of the cached replies, in characters. Beyond it, the cache is cleared. Most waiters share a few cursors,
 * but a client can send any cursor.
 */
const MAX_CACHED_LENGTH = 4 * 1024 * 1024;

type Reply<E> = [batch: Batch<E>, body: string | Buffer];

/** Ordered events of any kind that JSON can carry, and the polls that wait for the next ones. */
export class Feed<E> extends Backlog<E> {
  /** The option of the same name, or its default. */
  readonly onError: (error: unknown, waiter?: Waiter<E>) => void;
  readonly #encode: (batch: Batch<E>, events: string) => string;
  readonly #waiters: Waiters<E>;
  readonly #requestFlush = createFlush(
    () => this.#waiters.all(),
    (waiter) => this.hasNews(waiter.cursor) && this.#waiters.finish(waiter, "events"),
  );
  readonly #replies = new Map<Id, Reply<E>>();
  #cachedLength = 0;
  #draining = false;

  /** @throws RangeError if one of the numbers is too small or not a number */
  constructor({ backlog = 1000, maxWaiters = 10_000, clockSkew = 0, ...options }: FeedOptions<E> = {}) {
    const isInRange = backlog >= 1 && maxWaiters >= 1 && clockSkew >= 0;
    if (!isInRange) throw new RangeError("backlog and maxWaiters are at least 1, clockSkew is at least 0.");
    super(backlog, clockSkew);
    this.onError = options.onError ?? ((error) => console.error(error));
    this.#encode = options.encode ?? ((batch) => `${JSON.stringify(batch)}\n`);
    this.#waiters = new Waiters(maxWaiters, (waiter, reason) => this.#answer(waiter, reason));
    this.reset(options.snapshot ?? { lastPrunedId: `${Date.now()}-0`, events: [] });
  }

  /** How many polls are held. Followers are not counted. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** Clears the cached replies. Call it when data that the option `encode` adds has changed. */
  forgetReplies(): void {
    this.#replies.clear();
    this.#cachedLength = 0;
  }

  /**
   * Takes a poll. It supersedes an older poll of the same client, which is answered at once, without events.
   * @returns `"answered"` if the wait is 0 or less, or the feed is draining. `"held"` if the feed answers later: when a
   * flush finds news, when the wait ends, or when the poll is superseded, canceled or drained. `"full"` if `maxWaiters`
   * polls are held, and this one has a wait and supersedes none of them: the feed does not hold or answer it
   * @throws Error if the waiter is held already
   */
  poll(waiter: Waiter<E>): "answered" | "held" | "full" {
    if (waiter.slot) throw new Error("The waiter is held already.");
    // A cursor equal to `lastId` becomes the same string object, so later comparisons and look-ups are cheap.
    if (waiter.cursor === "now" || waiter.cursor === this.lastId) waiter.cursor = this.lastId;
    // A poll that is answered at once also passes through `hold` and `finish`.
    if (!this.#waiters.hold(waiter)) return "full";
    if (this.#draining) this.#waiters.finish(waiter, "drained");
    else if (!(waiter.wait > 0)) this.#waiters.finish(waiter, "timeout");
    else if (this.hasNews(waiter.cursor)) this.#requestFlush();
    // The `answer` of the superseded poll may have finished this poll.
    return waiter.slot ? "held" : "answered";
  }

  /**
   * Finishes a held poll. Nothing happens to one that is not held.
   * @param reason `"canceled"`: it is answered now. `"disconnected"`: it is not answered
   */
  cancel(waiter: Waiter<E>, reason: "canceled" | "disconnected" = "canceled"): void {
    this.#waiters.finish(waiter, reason);
  }

  /** Answers all waiters with `retry`, and every later poll at once, so that the process can stop. */
  drain(): void {
    this.#draining = true;
    for (const waiter of this.#waiters.all()) this.#waiters.finish(waiter, "drained");
  }

  /** Drains, and ends the followers. */
  close(): void {
    this.drain();
    this.closed = true;
    this.wakeReaders();
  }

  /** Also requests a flush for the held polls. The cached replies are out of date. */
  protected override wakeReaders(): void {
    super.wakeReaders();
    this.forgetReplies();
    if (this.waiting > 0) this.#requestFlush();
  }

  /** Answers a finished waiter. Never throws, so that a flush or a timer continues with the other waiters. */
  #answer(waiter: Waiter<E>, reason: FinishReason): void {
    try {
      waiter.finished(reason);
      if (reason !== "disconnected") waiter.answer(...this.#reply(this.idAt(waiter.cursor), reason), reason);
    } catch (error) {
      // In microtasks, so if one of them throws, the error is uncaught, but the flush continues.
      queueMicrotask(() => waiter.failed());
      queueMicrotask(() => this.onError(error, waiter));
    }
  }

  #reply(cursor: Id, reason: FinishReason): Reply<E> {
    // These two replies have no events and return the cursor of the poll, so its next poll gets the events.
    if (reason === "drained")
      return this.#encoded({ cursor, events: [], retry: Math.round(Math.random() * MAX_RETRY_MS) });
    if (reason === "superseded") return this.#encoded({ cursor, events: [], superseded: true });
    const cached = this.#replies.get(cursor);
    if (cached) return cached;
    const reply = this.#encoded(...this.readJson(cursor));
    if (this.#cachedLength > MAX_CACHED_LENGTH) this.forgetReplies();
    // 1,024 more for the batch and its place in the map.
    this.#cachedLength += reply[1].length + 1024;
    this.#replies.set(cursor, reply);
    return reply;
  }

  #encoded(batch: Batch<E>, events = "[]"): Reply<E> {
    const body = this.#encode(batch, events);
    return [batch, body.length < SHARED_BODY_LENGTH ? body : Buffer.from(body)];
  }
}
