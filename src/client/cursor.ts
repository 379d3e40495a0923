/**
 * The cursor of one tab, and the batches that it receives from the tab that polls. Each batch comes with the cursor that
 * it follows, so the tracker sees whether it continues, overlaps, or leaves a gap; then this tab asks the server itself.
 */
import { type Batch, isSeen, type LongPollOptions, longPoll } from "./chat.js";

/** Options of a `CursorTracker`. */
export interface TrackerOptions extends LongPollOptions {
  /** A cursor: everything up to it is on the page. */
  readonly since: string;
  /** Called with each batch, in order, each message once (except after a gap, where a cursor says nothing). */
  readonly onBatch: (batch: Batch) => void;
}

export class CursorTracker {
  /** Ends the requests of this tab to the server. */
  signal: AbortSignal | undefined;
  readonly #options: TrackerOptions;
  #cursor: string;
  /** The last cursor that was announced and not reached. */
  #target: string;
  #isCatchingUp = false;

  constructor(options: TrackerOptions) {
    this.#options = options;
    this.#cursor = this.#target = options.since;
  }

  /** The cursor of the last applied batch. */
  get cursor(): string {
    return this.#cursor;
  }

  /** Applies a batch, or fetches what is missing up to its cursor. @param from the cursor that the batch follows */
  apply(from: string, batch: Batch): void {
    if (from === this.#cursor) {
      this.#cursor = batch.cursor;
      this.#options.onBatch(batch);
    } else if (batch.gap) void this.#catchUp(batch.cursor);
    else this.advanceTo(batch.cursor);
  }

  /** Fetches what is missing up to the cursor of another tab. */
  advanceTo(cursor: string): void {
    if (!isSeen(cursor, this.#cursor)) void this.#catchUp(cursor);
  }

  /** Polls until the last target is reached, or the server has no more. */
  async #catchUp(cursor: string): Promise<void> {
    this.#target = cursor;
    if (this.#isCatchingUp) return;
    this.#isCatchingUp = true;
    const { signal } = this;
    let from = this.#cursor;
    let target = cursor;
    const until = signal && { signal };
    const { batches } = longPoll({ ...this.#options, ...until, since: from, onState: () => {} });
    for await (const batch of batches) {
      this.apply(from, batch);
      from = batch.cursor;
      if (isSeen(this.#target, from) || (batch.messages.length === 0 && target === this.#target)) break;
      target = this.#target;
    }
    this.#isCatchingUp = false;
  }
}
