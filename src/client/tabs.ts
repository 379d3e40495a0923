/**
 * One poll for all tabs of a browser and user. The tabs queue for a Web Lock; its holder, the leader, polls and broadcasts
 * each batch with the cursor that it follows. Each tab keeps its own cursor, so nothing is lost or doubled. Without Web
 * Locks (plain http) each tab polls for itself; over HTTP/1.1 a browser then has room for six.
 */
import { type Batch, isSeen, type LongPollOptions, longPoll } from "./chat.js";
import type { State } from "./options.js";
import { randomId } from "./request.js";

/** Options of a `SharedPoll`. */
export interface SharedPollOptions extends LongPollOptions {
  /** A cursor: everything up to it is on the page. */
  readonly since: string;
  /** Name of the lock and the channel: the same in all tabs that share a poll. */
  readonly name: string;
  /** Called with each batch, in order, each message once (except after a gap, where a cursor says nothing). */
  readonly onBatch: (batch: Batch) => void;
  readonly onState: (state: State) => void;
}

/** What the leader sends to the other tabs: a batch and the cursor that it follows, or its state. */
type TabMessage = { readonly from: string; readonly batch: Batch } | { readonly state: State };

export class SharedPoll {
  /** The id of this tab's poll, or undefined if another tab leads. */
  client: string | undefined;
  readonly #options: SharedPollOptions;
  /** The cursor of the last applied batch. */
  #cursor: string;
  /** Ends the poll, and leaves the lock or the queue for it. Undefined after `stop`. */
  #end: AbortController | undefined;
  #channel: BroadcastChannel | undefined;
  /** Resolves when all batches that were received have been applied. */
  #applied = Promise.resolve();

  constructor(options: SharedPollOptions) {
    this.#options = options;
    this.#cursor = options.since;
  }

  /**
   * Starts, also after `stop`. A visible tab becomes the leader: the timers of hidden tabs are late, and a suspended tab
   * keeps the lock. Call it again when the tab becomes visible. It polls again even if the user was logged out, because
   * another tab may have logged in.
   */
  start(): void {
    const isStopped = this.#end === undefined;
    if (navigator.locks) {
      this.#channel ??= new BroadcastChannel(this.#options.name);
      this.#channel.onmessage = ({ data }: MessageEvent<TabMessage>) => this.#receive(data);
      if (isStopped || (!document.hidden && !this.client)) this.#queue(!document.hidden);
    } else if (isStopped) void this.#poll(this.#begin());
  }

  /** Ends polling and listening, because the page closes or is suspended. */
  stop(): void {
    this.#end?.abort();
    this.#end = undefined;
    this.client = undefined;
    this.#channel?.close();
    this.#channel = undefined;
  }

  /** Ends the running poll or lock request. Returns the signal that ends the next one. */
  #begin(): AbortSignal {
    this.#end?.abort();
    this.client = undefined;
    this.#end = new AbortController();
    return this.#end.signal;
  }

  #queue(steal: boolean): void {
    const signal = this.#begin();
    navigator.locks
      .request(this.#options.name, steal ? { steal } : { signal }, () => this.#poll(signal))
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
    const client = randomId();
    this.client = client;
    let from = this.#cursor;
    const onState = (state: State) => {
      if (state.name === "stopped" && state.reason === "aborted") return;
      this.#channel?.postMessage({ state });
      this.#setState(state);
    };
    const { batches } = longPoll({ ...this.#options, since: from, client, signal, onState });
    for await (const batch of batches) {
      this.#channel?.postMessage({ from, batch });
      await this.#apply(from, batch);
      from = batch.cursor;
    }
  }

  #setState(state: State): void {
    this.#options.onState(state);
    // The poll of the next leader would end in the same way.
    if (state.name === "stopped") this.stop();
  }

  #receive(message: TabMessage): void {
    if ("batch" in message) {
      const { from, batch } = message;
      this.#applied = this.#applied.then(() => this.#apply(from, batch));
    } else if (!this.client) this.#setState(message.state);
  }

  /** Applies a batch that follows a cursor. If this tab has missed what is before it, the tab asks the server itself. */
  async #apply(from: string, batch: Batch): Promise<void> {
    const since = this.#cursor;
    if (from === since || (!batch.gap && isSeen(from, since))) {
      if (from !== since && isSeen(batch.cursor, since)) return;
      this.#cursor = batch.cursor;
      const messages = batch.messages.filter(({ id }) => batch.gap || !isSeen(id, since));
      this.#options.onBatch({ ...batch, messages });
    } else if (this.#end) {
      const { signal } = this.#end;
      const { batches } = longPoll({ ...this.#options, since, signal, onState: () => {} });
      for await (const missed of batches) return this.#apply(since, missed);
    }
  }
}
