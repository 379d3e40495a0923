/**
 * The waiter map. A waiter is one poll that is held open. It is held in a slot, and `finish` is its only way out:
 *   poll → `hold` → held in a slot → `finish(reason)` → slot empty → `finished(reason)` → `answer(…, reason)`.
 * `finish` empties the slot first and does nothing without one, so a waiter cannot be answered twice.
 */
import type { Batch } from "./backlog.js";
import type { Cursor } from "./id.js";

/**
 * Why a waiter is finished: `events` (there are news), `timeout` (the wait ended; a flush that was due may leave it with
 * events all the same), `superseded` (a newer poll of the same client came), `canceled` (by the host), `disconnected`
 * (the connection closed: nobody is answered) or `drained` (the feed stops).
 */
export type FinishReason = "events" | "timeout" | "superseded" | "canceled" | "disconnected" | "drained";

/** One poll. A subclass says how it is answered: with 10,000 of them, that is one object each and no closures. */
export abstract class Waiter<E> {
  /**
   * What the reader has seen. The feed replaces `"now"` by the id of the newest event. The host may move the cursor of a
   * held waiter on, past events that are no news to its reader.
   */
  cursor: Cursor | "now" = "now";
  /** How long it may be held, in milliseconds, below 2^31 - 1. With 0 or less it is answered at once. */
  wait = 0;
  /** Names the client: a newer poll of the same client supersedes this one. Undefined: none does. */
  client: string | undefined = undefined;
  /** Where it is held; undefined before and after. Only the feed sets it. */
  slot: Slot<E> | undefined = undefined;

  /**
   * Answers the poll: called once, unless the poll is `"full"` or the reason is `"disconnected"`.
   * @param body the batch as JSON: text, or bytes in UTF-8 if it is long. Waiters at one cursor share it
   */
  abstract answer(batch: Batch<E>, body: string | Buffer, reason: FinishReason): void;

  /** Called once before `answer`, and for every reason. Does nothing by default. */
  finished(_reason: FinishReason): void {}
}

/** The place of one waiter. The slot of a client stays for the client's next poll, for as long as its timer runs. */
export interface Slot<E> {
  readonly key: string | symbol;
  waiter: Waiter<E> | undefined;
  timer: NodeJS.Timeout | undefined;
  timerMs: number;
}

export class Waiters<E> {
  /** How many waiters are held. */
  size = 0;
  // A map of the waiters themselves would be emptied and filled for every event and copied again and again, and each old
  // copy keeps finished polls alive until the next full collection: that was a third of the cost of a delivery.
  readonly #slots = new Map<string | symbol, Slot<E>>();
  readonly #max: number;
  readonly #onFinish: (waiter: Waiter<E>, reason: FinishReason) => void;

  /**
   * @param max how many waiters may be held
   * @param onFinish answers a waiter that is finished; must not throw
   */
  constructor(max: number, onFinish: (waiter: Waiter<E>, reason: FinishReason) => void) {
    this.#max = max;
    this.#onFinish = onFinish;
  }

  /** Returns all held waiters. */
  all(): Waiter<E>[] {
    const all: Waiter<E>[] = [];
    for (const { waiter } of this.#slots.values()) if (waiter) all.push(waiter);
    return all;
  }

  /**
   * Holds a waiter, and supersedes an older one of the same client. Returns false if there is no room; one that is not to
   * wait needs none.
   */
  hold(waiter: Waiter<E>): boolean {
    const key = waiter.client ?? Symbol("no client");
    const slot: Slot<E> = this.#slots.get(key) ?? { key, waiter: undefined, timer: undefined, timerMs: 0 };
    const older = slot.waiter;
    if (!older && waiter.wait > 0 && this.size >= this.#max) return false;
    this.#slots.set(key, slot);
    slot.waiter = waiter;
    waiter.slot = slot;
    this.size++;
    this.#startTimer(slot, waiter.wait);
    // Last, because an answer may poll again.
    if (older) this.finish(older, "superseded");
    return true;
  }

  /** Finishes a waiter. Nothing happens if it is not held, or not any more. */
  finish(waiter: Waiter<E>, reason: FinishReason): void {
    const { slot } = waiter;
    if (!slot) return;
    waiter.slot = undefined;
    this.size--;
    // If a newer poll supersedes this one, it has the slot already.
    if (slot.waiter === waiter) {
      slot.waiter = undefined;
      // Nobody comes back to it, or strangers have invented too many clients.
      if (typeof slot.key === "symbol" || this.#slots.size > this.#max) this.#remove(slot);
    }
    this.#onFinish(waiter, reason);
  }

  /** Finishes all waiters, and stops all timers. */
  finishAll(reason: FinishReason): void {
    for (const waiter of this.all()) this.finish(waiter, reason);
    for (const slot of this.#slots.values()) this.#remove(slot);
  }

  #remove({ key, timer }: Slot<E>): void {
    clearTimeout(timer);
    this.#slots.delete(key);
  }

  /** Starts the timer of a slot again, which is cheaper than a new one. It is not stopped when the waiter is finished. */
  #startTimer(slot: Slot<E>, wait: number): void {
    // Node's timers count in whole milliseconds and may fire up to one too early.
    const ms = Math.min(Math.ceil(wait) + 1, 2 ** 31 - 1);
    if (slot.timerMs !== ms) {
      clearTimeout(slot.timer);
      slot.timerMs = ms;
      // The connection of a poll keeps the process alive; its timer need not.
      slot.timer = setTimeout(() => {
        slot.timer?.refresh();
        if (slot.waiter) this.finish(slot.waiter, "timeout");
        else this.#remove(slot);
      }, ms).unref();
    }
    slot.timer?.refresh();
  }
}
