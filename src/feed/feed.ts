/**
 * A feed: ordered events for readers whose connections come and go. Each reader has a cursor, so the next poll with the
 * same cursor gets every event after it, whatever happened to the connection. An event between two polls stays in the
 * backlog. A poll looks for it and becomes a waiter in one tick, with no `await` between, so no event is missed.
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
  /** How many polls may be held, at least 1. The result of one more is `"full"`. Default 10,000. */
  readonly maxWaiters?: number;
  /**
   * How far the clocks of processes with a common store may differ, in milliseconds. A cursor after `lastId` waits for its
   * event if its time is before now + `clockSkew`. Any other cursor after `lastId` is a gap. Default 0: all are gaps.
   */
  readonly clockSkew?: number;
  /** The state to start from. Default: no events, and a cursor of an earlier process is a gap. */
  readonly snapshot?: Snapshot<E>;
  /**
   * Encodes a reply from a batch and its events as a JSON array. The feed caches the result until the next event. Call
   * `forgetReplies` if other data that `encode` adds has changed. Default: `JSON.stringify(batch)` and a newline.
   */
  readonly encode?: (batch: Batch<E>, events: string) => string;
  /**
   * Called with an error that `encode` or a method of a waiter has thrown. That waiter is finished and its `failed` is
   * called; all others are answered. Must not throw. Default: `console.error`.
   */
  readonly onError?: (error: unknown, waiter?: Waiter<E>) => void;
}

/** The longest `retry`, in milliseconds. Clients come back spread over this time. */
const MAX_RETRY_MS = 2000;
/** Waiters share a body of this length or more as a Buffer. Node copies a string for each response, but not a Buffer. */
const SHARED_BODY_LENGTH = 4 * 1024;
/** The total length of the cached replies. Nearly all waiters are at a few cursors, but a client can invent any number. */
const MAX_CACHED_LENGTH = 4 * 1024 * 1024;

type Reply<E> = [batch: Batch<E>, body: string | Buffer];

/** Ordered events of any kind that JSON can carry, and the polls that wait for the next ones. */
export class Feed<E> extends Backlog<E> {
  /** The option of the same name, or its default. */
  readonly onError: (error: unknown, waiter?: Waiter<E>) => void;
  readonly #encode: (batch: Batch<E>, events: string) => string;
  readonly #waiters: Waiters<E>;
  readonly #requestFlush: () => void;
  readonly #replies = new Map<Id, Reply<E>>();
  #cachedLength = 0;
  #draining = false;

  /** @throws RangeError if one of the numbers is too small or not a number */
  constructor({ backlog = 1000, maxWaiters = 10_000, clockSkew = 0, ...options }: FeedOptions<E> = {}) {
    if (!(backlog >= 1 && maxWaiters >= 1)) throw new RangeError("backlog and maxWaiters are at least 1.");
    if (!(clockSkew >= 0)) throw new RangeError("clockSkew is at least 0.");
    super(backlog, clockSkew);
    this.onError = options.onError ?? ((error) => console.error(error));
    this.#encode = options.encode ?? ((batch) => `${JSON.stringify(batch)}\n`);
    this.#waiters = new Waiters(maxWaiters, (...finished) => this.#answer(...finished));
    this.#requestFlush = createFlush(
      () => this.#waiters.all(),
      (waiter) => this.hasNews(waiter.cursor) && this.#waiters.finish(waiter, "events"),
    );
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
   * @returns `"answered"` if the wait is 0 or less, or the feed is draining. `"held"` if the feed answers later: when a flush finds
   * news, when the wait ends, or when the poll is superseded, canceled or drained. `"full"` if `maxWaiters` polls are held
   * already: the feed never answers this one
   * @throws Error if the waiter is held already
   */
  poll(waiter: Waiter<E>): "answered" | "held" | "full" {
    if (waiter.slot) throw new Error("The waiter is held already.");
    // Equal cursors become one string, which makes all later comparisons and look-ups cheap.
    if (waiter.cursor === "now" || waiter.cursor === this.lastId) waiter.cursor = this.lastId;
    // A poll that is answered at once is held for a moment too, so that all polls have one way in and one way out.
    if (!this.#waiters.hold(waiter)) return "full";
    if (this.#draining) this.#waiters.finish(waiter, "drained");
    else if (!(waiter.wait > 0)) this.#waiters.finish(waiter, "timeout");
    else if (this.hasNews(waiter.cursor)) this.#requestFlush();
    // A superseded poll can finish this one while it is answered.
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
      // In microtasks: if one of these throws too, the error is uncaught, but the flush continues.
      queueMicrotask(() => waiter.failed());
      queueMicrotask(() => this.onError(error, waiter));
    }
  }

  #reply(cursor: Id, reason: FinishReason): Reply<E> {
    const retry = Math.round(Math.random() * MAX_RETRY_MS);
    // These two have no events and do not move the cursor, so nothing is lost.
    if (reason === "drained") return this.#encoded({ cursor, events: [], retry });
    if (reason === "superseded") return this.#encoded({ cursor, events: [], superseded: true });
    const cached = this.#replies.get(cursor);
    if (cached) return cached;
    const reply = this.#encoded(...this.readJson(cursor));
    this.#cachedLength += reply[1].length + 1024;
    if (this.#cachedLength > MAX_CACHED_LENGTH) this.forgetReplies();
    this.#replies.set(cursor, reply);
    return reply;
  }

  #encoded(batch: Batch<E>, events = "[]"): Reply<E> {
    const body = this.#encode(batch, events);
    return [batch, body.length < SHARED_BODY_LENGTH ? body : Buffer.from(body)];
  }
}
