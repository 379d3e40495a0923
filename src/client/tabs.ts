/**
 * One poll for all tabs of a browser and user. The tabs queue for a Web Lock; its holder, the leader, polls and broadcasts
 * each batch with the cursor that it follows. Each tab keeps its own cursor, so nothing is lost or doubled. Without Web
 * Locks (plain http) each tab polls for itself; over HTTP/1.1 a browser then has room for six.
 */
import { type Batch, isSeen, type LongPollOptions, longPoll } from "./chat.js";
import type { State } from "./poll.js";
import { randomId } from "./request.js";

/** Options of a `SharedPoll`. */
export interface SharedPollOptions extends LongPollOptions {
  /** Name of the lock and the channel: the same in all tabs that share a poll. */
  readonly name: string;
  /** Called with each batch, in order, and with each message once. After a gap, a message may come again. */
  readonly onBatch: (batch: Batch) => void;
}

/** What the leader sends to the other tabs: a batch and the cursor that it follows, or its state. */
type TabMessage = { readonly from: string; readonly batch: Batch } | { readonly state: State };

export class SharedPoll {
  /** The id of this tab's poll, or undefined if another tab leads. */
  client: string | undefined;
  /** The cursor of the last applied batch. */
  #cursor: string;
  /** Ends the poll, and leaves the lock or the queue for it. Undefined after `stop`. */
  #end: AbortController | undefined;
  #channel: BroadcastChannel | undefined;

  /** @param options `since` is a cursor: everything up to it is on the page */
  constructor(private readonly options: SharedPollOptions) {
    this.#cursor = options.since ?? "0";
  }

  /**
   * Starts, also after `stop`. A visible tab becomes the leader: the timers of hidden tabs are late, and a suspended tab
   * keeps the lock. Call it again when the tab becomes visible. It polls again even if the user was logged out, because
   * another tab may have logged in.
   */
  start(): void {
    if (this.#end && (document.hidden || this.client)) return;
    if (navigator.locks) {
      this.#channel ??= new BroadcastChannel(this.options.name);
      this.#channel.onmessage = ({ data }: MessageEvent<TabMessage>) => this.#receive(data);
    }
    this.#queue(!document.hidden);
  }

  /** Ends polling and listening, because the page closes or is suspended. */
  stop(): void {
    this.#end?.abort();
    this.#end = undefined;
    this.client = undefined;
    this.#channel?.close();
    this.#channel = undefined;
  }

  /** Leads once it has the lock, in place of the running poll or lock request. */
  #queue(steal: boolean): void {
    this.#end?.abort();
    this.client = undefined;
    this.#end = new AbortController();
    const { signal } = this.#end;
    const lead = () => this.#poll(signal);
    if (!navigator.locks) return void lead();
    navigator.locks
      .request(this.options.name, steal ? { steal } : { signal }, lead)
      .catch((error: unknown) => {
        if (signal.aborted) return;
        if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
        // Another tab has stolen the lock: queue again.
        this.#queue(false);
      });
  }

  /** Leads until the signal ends it: this tab stops or loses the lock. */
  async #poll(signal: AbortSignal): Promise<void> {
    // The lock may be granted just after `stop`.
    if (signal.aborted) return;
    this.client = randomId();
    let from = this.#cursor;
    const onState = (state: State) => {
      if (signal.aborted) return;
      this.#channel?.postMessage({ state });
      this.#setState(state);
    };
    const { batches } = longPoll({ ...this.options, since: from, client: this.client, signal, onState });
    for await (const batch of batches) {
      this.#channel?.postMessage({ from, batch });
      await this.#apply(from, batch);
      from = batch.cursor;
    }
  }

  #setState(state: State): void {
    this.options.onState?.(state);
    // The poll of the next leader would end in the same way.
    if (state.name === "stopped") this.stop();
  }

  #receive(message: TabMessage): void {
    if ("batch" in message) void this.#apply(message.from, message.batch);
    else if (!this.client) this.#setState(message.state);
  }

  /** Applies a batch that follows a cursor. If this tab has another cursor, it asks the server itself. */
  async #apply(from: string, batch: Batch): Promise<void> {
    const since = this.#cursor;
    if (from === since) {
      this.#cursor = batch.cursor;
      this.options.onBatch(batch);
    } else if (this.#end && (batch.gap || !isSeen(batch.cursor, since))) {
      const { signal } = this.#end;
      const { batches } = longPoll({ ...this.options, since, signal, onState: () => {} });
      for await (const missed of batches) return this.#apply(since, missed);
    }
  }
}
