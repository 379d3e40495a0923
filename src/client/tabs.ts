/**
 * One poll for all tabs of a browser and user. The tabs queue for a Web Lock; its holder, the leader, polls and broadcasts
 * each batch with the cursor that it follows. Each tab tracks its own cursor, so nothing is lost or doubled. Without Web
 * Locks (plain http) or BroadcastChannel each tab polls for itself; over HTTP/1.1 a browser then has room for six.
 */
import { type Batch, longPoll } from "./chat.js";
import { CursorTracker, type TrackerOptions } from "./cursor.js";
import type { State } from "./options.js";
import { randomId } from "./request.js";

/** A leader that has not answered a ping for this long counts as suspended. */
const TIMEOUT_MS = 2000;

/** Options of a `SharedPoll`. */
export interface SharedPollOptions extends TrackerOptions {
  /** Name of the lock and the channel: the same in all tabs that share a poll. */
  readonly name: string;
  readonly onState: (state: State) => void;
  /** Whether the user sees this tab. */
  readonly isVisible: () => boolean;
  /** `navigator.locks`, if the browser has it. */
  readonly locks: LockManager | undefined;
}

/** What tabs send to each other. */
type TabMessage =
  | { readonly kind: "batch"; readonly from: string; readonly batch: Batch }
  | { readonly kind: "state"; readonly state: State }
  | { readonly kind: "ping" }
  | { readonly kind: "pong"; readonly cursor: string; readonly state: State; readonly visible: boolean };

export class SharedPoll {
  readonly #options: SharedPollOptions;
  readonly #tracker: CursorTracker;
  #state: State = { name: "connecting" };
  /** The id of this tab's poll, or undefined if another tab leads. */
  #client: string | undefined;
  /** From `start` to `stop`. */
  #session = new AbortController();
  /** Aborting it leaves the queue for the lock, or ends the poll that holds it. */
  #lockRequest: AbortController | undefined;
  #channel: BroadcastChannel | undefined;
  #pingTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: SharedPollOptions) {
    this.#options = options;
    this.#tracker = new CursorTracker(options);
    this.#session.abort();
  }

  /** The id of this tab's poll, or undefined if another tab leads. */
  get client(): string | undefined {
    return this.#client;
  }

  /** Starts, also after `stop`. */
  start(): void {
    if (!this.#session.signal.aborted) return;
    this.#session = new AbortController();
    this.#tracker.signal = this.#session.signal;
    const { locks, name } = this.#options;
    if (!locks || typeof BroadcastChannel === "undefined") {
      void this.#poll(this.#session.signal);
      return;
    }
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }: MessageEvent<TabMessage>) => this.#receive(data);
    this.#queue(locks, false);
    this.ping();
  }

  /** Ends polling and listening, because the page closes or is suspended. */
  stop(): void {
    this.#session.abort();
    this.#lockRequest?.abort();
    this.#client = undefined;
    clearTimeout(this.#pingTimer);
    this.#channel?.close();
    this.#channel = undefined;
  }

  /**
   * Asks the leader for its state. Call it when this tab becomes visible. A tab that was logged out polls again, because
   * another tab may have logged in.
   */
  ping(): void {
    if (this.#state.name === "stopped" && this.#state.reason === "no_session") this.start();
    if (!this.#channel || this.#client) return;
    this.#send({ kind: "ping" });
    clearTimeout(this.#pingTimer);
    this.#pingTimer = setTimeout(() => this.#takeOver(), TIMEOUT_MS);
  }

  #queue(locks: LockManager, steal: boolean): void {
    this.#lockRequest?.abort();
    this.#client = undefined;
    const lockRequest = new AbortController();
    this.#lockRequest = lockRequest;
    const { signal } = lockRequest;
    locks
      .request(this.#options.name, steal ? { steal } : { signal }, () => this.#poll(signal))
      .catch((error: unknown) => {
        if (signal.aborted) return;
        if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
        // Another tab has stolen the lock: queue again.
        this.#queue(locks, false);
      });
  }

  /** A hidden tab's timers are late, and a suspended tab keeps its lock; so a visible tab steals it. */
  #takeOver(): void {
    const { locks, isVisible } = this.#options;
    if (locks && this.#channel && !this.#client && isVisible()) this.#queue(locks, true);
  }

  /** Leads until the signal ends it: this tab stops or loses the lock. */
  async #poll(signal: AbortSignal): Promise<void> {
    // The lock may be granted just after `stop`.
    if (signal.aborted) return;
    clearTimeout(this.#pingTimer);
    const client = randomId();
    this.#client = client;
    let from = this.#tracker.cursor;
    const onState = (state: State) => {
      if (state.name === "stopped" && state.reason === "aborted") return;
      this.#send({ kind: "state", state });
      this.#setState(state);
    };
    const { batches } = longPoll({ ...this.#options, since: from, client, signal, onState });
    for await (const batch of batches) {
      this.#send({ kind: "batch", from, batch });
      this.#tracker.apply(from, batch);
      from = batch.cursor;
    }
  }

  #send(message: TabMessage): void {
    this.#channel?.postMessage(message);
  }

  #setState(state: State): void {
    this.#state = state;
    this.#options.onState(state);
    // What ends one tab's poll would end that of the next leader too.
    if (state.name === "stopped") this.stop();
  }

  #receive(message: TabMessage): void {
    if (message.kind === "batch") this.#tracker.apply(message.from, message.batch);
    else if (this.#client) {
      if (message.kind !== "ping") return;
      const visible = this.#options.isVisible();
      this.#send({ kind: "pong", cursor: this.#tracker.cursor, state: this.#state, visible });
    } else if (message.kind === "state") this.#setState(message.state);
    else if (message.kind === "pong") {
      clearTimeout(this.#pingTimer);
      this.#setState(message.state);
      this.#tracker.advanceTo(message.cursor);
      if (!message.visible) this.#takeOver();
    }
  }
}
