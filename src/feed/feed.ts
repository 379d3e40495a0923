/**
 * A feed: ordered events for readers whose connections come and go. Each reader has a cursor, so whatever happens to a
 * connection, the next poll with the same cursor gets everything. A poll is checked for newer events and becomes a
 * waiter in one tick, with no `await` between the two, so no event can fall between.
 */
import { Backlog, type Batch, type Snapshot } from "./backlog.js";
import { createFlush } from "./flush.js";
import type { Id } from "./id.js";
import { type FinishReason, type Waiter, Waiters } from "./waiters.js";

/** Options of a feed. */
export interface FeedOptions<E> {
  /** How many events are kept, at least 1. Beyond that, the oldest is pruned. Default 1,000. */
  readonly backlog?: number;
  /** How many polls may be held, at least 1. The next one is `"full"`. Default 10,000. */
  readonly maxWaiters?: number;
  /**
   * How far the clocks of processes with a common store may differ, in milliseconds. A cursor after `lastId`, but less
   * than this in the future, waits for its event, which is on the way. Default 0: such a cursor is a gap.
   */
  readonly clockSkew?: number;
  /** Where to start. Default: without events; a cursor of an earlier process is a gap. */
  readonly snapshot?: Snapshot<E>;
  /**
   * Writes the JSON of a reply from a batch and its events as a JSON array. The text is used again until the next event;
   * call `forgetReplies` when something else changes that it contains. Default: the members of the batch.
   */
  readonly encode?: (batch: Batch<E>, events: string) => string;
  /**
   * Called with an error that was thrown by `encode` or by a waiter's `finished` or `answer`. That waiter is finished, and
   * all others are answered. Default: `console.error`.
   */
  readonly onError?: (error: unknown, waiter?: Waiter<E>) => void;
}

/** The longest `retry`, in milliseconds: clients come back spread over this time. */
const MAX_RETRY_MS = 2000;
/** From this length on, a body is shared as bytes: one copy for each waiter costs more than a second write. */
const SHARED_BODY_LENGTH = 4 * 1024;
/** Nearly all waiters are at a few cursors, but a stranger can invent any number of them: the longest replies to keep. */
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

  constructor(options: FeedOptions<E> = {}) {
    super();
    this.limit = options.backlog ?? this.limit;
    this.clockSkew = options.clockSkew ?? this.clockSkew;
    this.onError = options.onError ?? ((error) => console.error(error));
    this.#encode = options.encode ?? ((batch) => JSON.stringify(batch));
    this.#waiters = new Waiters(options.maxWaiters ?? 10_000, (...finished) => this.#answer(...finished));
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

  /** Makes the feed encode its replies anew, because something has changed that the option `encode` writes. */
  forgetReplies(): void {
    this.#replies.clear();
    this.#cachedLength = 0;
  }

  /**
   * Takes a poll. It supersedes an older poll of the same client.
   * @returns `"answered"` if the wait is 0 or the feed is draining; `"held"` if it is answered later: by the next flush
   * if there are events after its cursor, otherwise when there are; `"full"` if it is never answered
   * @throws Error if the waiter is held already
   */
  poll(waiter: Waiter<E>): "answered" | "held" | "full" {
    if (waiter.slot) throw new Error("The waiter is held already.");
    // Equal cursors become one string, which makes all later comparisons and look-ups cheap.
    if (waiter.cursor === "now" || waiter.cursor === this.lastId) waiter.cursor = this.lastId;
    // Held at first, if only for an instant, so that every poll has the same way in and the same way out.
    if (!this.#waiters.hold(waiter)) return "full";
    if (waiter.wait <= 0 || this.#draining) {
      this.#waiters.finish(waiter, this.#draining ? "drained" : "timeout");
      return "answered";
    }
    if (this.hasNews(waiter.cursor)) this.#requestFlush();
    return "held";
  }

  /**
   * Ends a poll that is held. Nothing happens to one that is not.
   * @param reason `"canceled"`: it is answered now. `"disconnected"`: it is not answered
   */
  cancel(waiter: Waiter<E>, reason: "canceled" | "disconnected" = "canceled"): void {
    this.#waiters.finish(waiter, reason);
  }

  /** Answers all waiters with `retry`, and every later poll at once, so that the process can stop. */
  drain(): void {
    this.#draining = true;
    this.#waiters.finishAll("drained");
  }

  /** Drains, and ends the followers. */
  close(): void {
    this.drain();
    this.closed = true;
    this.changed();
  }

  protected override changed(): void {
    super.changed();
    this.forgetReplies();
    if (this.waiting > 0) this.#requestFlush();
  }

  /** Answers a waiter that is not held any more. Never throws, so that a flush or a timer goes on with the others. */
  #answer(waiter: Waiter<E>, reason: FinishReason): void {
    try {
      waiter.finished(reason);
      if (reason !== "disconnected") waiter.answer(...this.#reply(this.idAt(waiter.cursor), reason), reason);
    } catch (error) {
      // In a microtask, because `onError` may throw too.
      queueMicrotask(() => this.onError(error, waiter));
    }
  }

  #reply(cursor: Id, reason: FinishReason): Reply<E> {
    const retry = Math.round(Math.random() * MAX_RETRY_MS);
    // These two have no events and do not move the cursor, so nothing is lost.
    if (reason === "drained") return this.#encoded({ cursor, events: [], retry }, "[]");
    if (reason === "superseded") return this.#encoded({ cursor, events: [], superseded: true }, "[]");
    const cached = this.#replies.get(cursor);
    if (cached) return cached;
    const reply = this.#encoded(...this.readJson(cursor));
    this.#cachedLength += reply[1].length + 1024;
    if (this.#cachedLength > MAX_CACHED_LENGTH) this.forgetReplies();
    else this.#replies.set(cursor, reply);
    return reply;
  }

  #encoded(batch: Batch<E>, events: string): Reply<E> {
    const body = this.#encode(batch, events);
    return [batch, body.length < SHARED_BODY_LENGTH ? body : Buffer.from(body)];
  }
}
