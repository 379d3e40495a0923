/**
 * What one tab has seen, as a cursor, and the batches that it hears of from the tab that polls. A batch comes with the
 * cursor it came after. So it is known whether it follows what was seen, overlaps it (then the rest is taken), or leaves
 * something out (then the server is asked, by this tab itself).
 */
import { type Batch, type LongPollOptions, longPoll } from "./longpoll.js";
import { isBehind } from "./reply.js";

/** What a `Reader` takes: a room, and who is told. */
export interface ReaderOptions extends LongPollOptions {
  /** A cursor: up to where everything has been seen. */
  readonly since: string;
  /** Told of each batch, in order, each message once (but after a gap, where a cursor says nothing). */
  readonly onBatch: (batch: Batch) => void;
}

export class Reader {
  /** Ends what the server is asked. */
  signal: AbortSignal | undefined;
  readonly #options: ReaderOptions;
  #cursor: string;
  /** The last cursor that was heard of and not reached. */
  #target: string;
  #asking = false;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#cursor = this.#target = options.since;
  }

  /** Up to where everything has been seen. */
  get cursor(): string {
    return this.#cursor;
  }

  /** Takes of a batch what has not been seen. @param from the cursor that the batch comes after */
  take(from: string, batch: Batch): void {
    const own = this.#cursor;
    if (from === own) {
      this.#cursor = batch.cursor;
      this.#options.onBatch(batch);
    } else if (isBehind(from, own) && !batch.gap) {
      const messages = batch.messages.filter(({ id }) => !isBehind(id, own));
      this.#cursor = isBehind(batch.cursor, own) ? own : batch.cursor;
      this.#options.onBatch({ ...batch, cursor: this.#cursor, messages });
    } else {
      this.#catchUp(batch.cursor);
    }
  }

  /** Hears how far another tab is, and asks for what is lacking. */
  reach(cursor: string): void {
    if (!isBehind(cursor, this.#cursor)) this.#catchUp(cursor);
  }

  #catchUp(target: string): void {
    this.#target = target;
    if (this.#asking) return;
    this.#asking = true;
    void this.#ask().finally(() => {
      this.#asking = false;
    });
  }

  /** Asks until the target is reached, or the server says that there is no more. */
  async #ask(): Promise<void> {
    const { signal } = this;
    let target: string;
    do {
      target = this.#target;
      let from = this.#cursor;
      const until = signal && { signal };
      const { batches } = longPoll({ ...this.#options, ...until, since: from, onState: () => {} });
      for await (const batch of batches) {
        this.take(from, batch);
        from = batch.cursor;
        if (batch.messages.length === 0 || isBehind(target, from)) break;
      }
    } while (target !== this.#target && !signal?.aborted);
  }
}
