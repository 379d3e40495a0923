/**
 * The waiter map. A waiter is one poll that is held open: `hold` sets its `slot`, and only `finish` clears it, before it
 * does anything else. A second `finish` finds no slot and returns, so no waiter is answered twice.
 */
import type { Batch } from "./batch.js";
import type { Cursor } from "./id.js";

/**
 * Why a waiter is finished.
 * - `events`: there are events after its cursor, or a gap.
 * - `timeout`: its wait has ended. Its batch contains the events that no flush has delivered yet.
 * - `superseded`: the same client has sent a newer poll. Its batch has no events, so the newer poll gets all of them.
 * - `canceled`: the host has canceled it. Its batch is as for `timeout`.
 * - `disconnected`: its connection is closed. It is not answered. The next poll with the same cursor gets the events.
 * - `drained`: the feed is draining. Its batch has no events and a `retry`.
 */
export type FinishReason = "events" | "timeout" | "superseded" | "canceled" | "disconnected" | "drained";

/**
 * One poll. A subclass implements `answer`. Each poll is one object, without closures in the feed. A held poll does not keep
 * the process alive; its connection does.
 */
export abstract class Waiter<E> {
  /**
   * The position of the reader. The feed replaces `"now"` by the id of the newest event. The host may move the cursor of a
   * held waiter forward, past events that its reader need not see.
   */
  cursor: Cursor | "now" = "now";
  /** How long the poll may be held, in milliseconds, at most 2^31 - 1. With 0, less or NaN, the poll is answered at once. */
  wait = 0;
  /** Identifies the client. A newer poll of the same client supersedes this one. If it is undefined, no other poll does. */
  client: string | undefined = undefined;
  /** When the wait ends, by `performance.now()`. Only the feed sets it. */
  end = 0;
  /** The slot that holds the waiter. Undefined while the waiter is not held. Only the feed sets it. */
  slot: Slot<E> | undefined = undefined;

  /**
   * Answers the poll. Called at most once for each `Feed.poll`, and never if the poll is `"full"` or `"disconnected"`.
   * @param body the batch as JSON: text, or bytes in UTF-8 if it is long. Waiters at one cursor share it
   */
  abstract answer(batch: Batch<E>, body: string | Buffer, reason: FinishReason): void;

  /** Called once for each finish, before `answer`, even if no answer follows. Does nothing by default. */
  finished(_reason: FinishReason): void {}

  /** Called if `finished`, `answer` or the feed's `encode` throws. A subclass closes its connection. Does nothing by default. */
  failed(): void {}
}

/**
 * The place of one waiter. The next poll of the same client uses the slot and its timer again. `hold` restarts the timer only
 * if the new wait ends before it fires. A timer that fires before the wait has ended is started again for the rest. If there
 * is no waiter, the slot is removed.
 */
export interface Slot<E> {
  readonly key: string | symbol;
  waiter: Waiter<E> | undefined;
  timer: NodeJS.Timeout | undefined;
  /** When `timer` is due, by `performance.now()`. */
  timerEnd: number;
}

/** The held waiters of a feed. */
export class Waiters<E> {
  /** How many waiters are held. */
  size = 0;
  // Slots stay between polls. V8 rebuilds a `Map` after many changes, and the old table keeps finished polls in memory
  // until the next full garbage collection.
  readonly #slots = new Map<string | symbol, Slot<E>>();

  /**
   * @param max how many waiters may be held
   * @param onFinish answers a waiter that is finished; must not throw
   */
  constructor(
    private readonly max: number,
    private readonly onFinish: (waiter: Waiter<E>, reason: FinishReason) => void,
  ) {}

  /** Returns all held waiters. */
  all(): Waiter<E>[] {
    return Array.from(this.#slots.values(), ({ waiter }) => waiter).filter((waiter) => waiter !== undefined);
  }

  /**
   * Holds a waiter, and supersedes an older one of the same client. Returns false if too many are held. The limit does not
   * apply to a waiter with no wait, because it is finished at once.
   */
  hold(waiter: Waiter<E>): boolean {
    const key = waiter.client ?? Symbol("no client");
    const slot: Slot<E> = this.#slots.get(key) ?? { key, waiter: undefined, timer: undefined, timerEnd: 0 };
    const older = slot.waiter;
    if (!older && waiter.wait > 0 && this.size >= this.max) return false;
    slot.waiter = waiter;
    waiter.slot = slot;
    // The waiter keeps the text of the slot, so the copy of its own request is freed.
    if (typeof slot.key === "string") waiter.client = slot.key;
    this.size++;
    waiter.end = performance.now() + waiter.wait;
    if (!slot.timer || waiter.end < slot.timerEnd) this.#startTimer(slot, waiter.wait);
    // This call comes last, because `answer` may start another poll.
    if (older) this.finish(older, "superseded");
    return true;
  }

  /** Finishes a waiter. Nothing happens if it is not held, or not any more. */
  finish(waiter: Waiter<E>, reason: FinishReason): void {
    const { slot } = waiter;
    if (!slot) return;
    waiter.slot = undefined;
    this.size--;
    // If a newer poll supersedes this one, the slot already holds the newer one.
    if (slot.waiter === waiter) slot.waiter = undefined;
    // A poll without a client never uses its slot again. Many different clients must not fill the map.
    if (!slot.waiter && (typeof slot.key === "symbol" || this.#slots.size > this.max)) {
      clearTimeout(slot.timer);
      this.#slots.delete(slot.key);
    }
    this.onFinish(waiter, reason);
  }

  #startTimer(slot: Slot<E>, wait: number): void {
    // Node's timers count whole milliseconds and may fire up to one too early.
    const ms = Math.min(Math.ceil(wait) + 1, 2 ** 31 - 1);
    this.#slots.set(slot.key, slot);
    clearTimeout(slot.timer);
    slot.timerEnd = performance.now() + ms;
    slot.timer = setTimeout(this.#onTimer, ms, slot).unref();
  }

  /** One function for all slots. A closure for each would use 100 bytes. */
  readonly #onTimer = (slot: Slot<E>): void => {
    const { waiter } = slot;
    if (!waiter) return void this.#slots.delete(slot.key);
    const rest = waiter.end - performance.now();
    // After a timeout, the slot stays for one more `wait`, because its client usually polls at once.
    this.#startTimer(slot, rest > 0 ? rest : waiter.wait);
    if (rest <= 0) this.finish(waiter, "timeout");
  };
}
