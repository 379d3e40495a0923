/**
 * One poll for all tabs of a browser and user. The tabs stand in line for a lock; who has it leads: it polls and
 * tells the others what came. When it goes, however it goes, the browser gives the lock to the next.
 *
 * Every tab keeps its own cursor (reader.ts), and every batch is told with the cursor it came after. A new leader
 * polls from its own cursor. Thus nothing is lost or doubled, whatever a tab missed or however late it came.
 *
 * A hidden tab's timers run late, and a suspended one may sit on the lock. So a tab that is looked at takes the lock
 * from a leader that is hidden or does not answer.
 *
 * Both Web Locks and BroadcastChannel are needed; over plain http (but on localhost) browsers have no locks. Without,
 * each tab polls for itself. With HTTP/1.1 a browser opens six connections to a host, so the seventh such tab starves.
 */
import { type Batch, longPoll, type State } from "./longpoll.js";
import { Reader, type ReaderOptions } from "./reader.js";
import { randomId } from "./request.js";

/** How long a leader may take to answer (ms) before it counts as suspended. */
const PATIENCE = 2000;

/** What `SharedPoll` takes: a room, and who is told. */
export interface SharedPollOptions extends ReaderOptions {
  /** What the tabs that share a poll have in common: the room's address and the user. */
  readonly name: string;
  readonly onState: (state: State) => void;
  /** Whether this tab is looked at. */
  readonly isVisible: () => boolean;
  /** Who gives out the lock; undefined: nobody. */
  readonly locks: LockManager | undefined;
}

/** What tabs tell each other. */
type Told =
  | { readonly kind: "batch"; readonly from: string; readonly batch: Batch }
  | { readonly kind: "state"; readonly state: State }
  | { readonly kind: "hello" }
  | { readonly kind: "leader"; readonly cursor: string; readonly state: State; readonly visible: boolean };

export class SharedPoll {
  readonly #options: SharedPollOptions;
  readonly #reader: Reader;
  #state: State = { name: "connecting" };
  /** Ends all that this tab has begun. */
  #life = new AbortController();
  #channel: BroadcastChannel | undefined;
  /** This tab's place in the line for the lock. */
  #place: AbortController | undefined;
  /** The poll of this tab, if it leads. */
  #lead: { readonly client: string; readonly end: AbortController } | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;

  constructor(options: SharedPollOptions) {
    this.#options = options;
    this.#reader = new Reader(options);
    this.#life.abort();
  }

  /** The name of the poll that this tab holds, or undefined if another tab leads. */
  get client(): string | undefined {
    return this.#lead?.client;
  }

  /** Begins, or goes on after `stop`. */
  start(): void {
    if (!this.#life.signal.aborted) return;
    this.#life = new AbortController();
    this.#reader.signal = this.#life.signal;
    const { locks, name } = this.#options;
    if (!locks || typeof BroadcastChannel === "undefined") {
      void this.#poll();
      return;
    }
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }: MessageEvent<Told>) => this.#hear(data);
    this.#queue(locks, false);
    this.greet();
  }

  /** Ends polling and listening: the page goes, or rests. */
  stop(): void {
    this.#life.abort();
    this.#place?.abort();
    this.#lead?.end.abort();
    this.#lead = undefined;
    clearTimeout(this.#silence);
    this.#channel?.close();
    this.#channel = undefined;
  }

  /**
   * Asks the leader how things are. To be called when this tab becomes visible. One that was logged out goes on, or is
   * told so again: another tab may have logged in.
   */
  greet(): void {
    if (this.#state.name === "stopped" && this.#state.reason === "no_session") this.start();
    if (!this.#channel || this.#lead) return;
    this.#tell({ kind: "hello" });
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#takeOver(), PATIENCE);
  }

  #queue(locks: LockManager, steal: boolean): void {
    this.#place?.abort();
    const place = new AbortController();
    this.#place = place;
    const how = steal ? { steal } : { signal: place.signal };
    locks
      .request(this.#options.name, how, async () => {
        // It may be given to us when we have just stopped.
        if (!place.signal.aborted) await this.#poll();
      })
      .catch((error: unknown) => {
        if (place.signal.aborted || this.#life.signal.aborted) return;
        if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
        // The lock was taken from us: we stand in line again.
        this.#lead?.end.abort();
        this.#queue(locks, false);
      });
  }

  #takeOver(): void {
    const { locks, isVisible } = this.#options;
    if (locks && this.#channel && !this.#lead && isVisible()) this.#queue(locks, true);
  }

  /** Leads until the tab stops or the lock is taken away. */
  async #poll(): Promise<void> {
    clearTimeout(this.#silence);
    const end = new AbortController();
    const lead = { client: randomId(), end };
    this.#lead = lead;
    let from = this.#reader.cursor;
    const { batches } = longPoll({
      ...this.#options,
      since: from,
      client: lead.client,
      signal: end.signal,
      onState: (state) => this.#say(state),
    });
    try {
      for await (const batch of batches) {
        this.#tell({ kind: "batch", from, batch });
        this.#reader.take(from, batch);
        from = batch.cursor;
      }
    } finally {
      if (this.#lead === lead) this.#lead = undefined;
    }
  }

  #tell(told: Told): void {
    this.#channel?.postMessage(told);
  }

  #say(state: State): void {
    if (state.name === "stopped" && state.reason === "aborted") return;
    this.#tell({ kind: "state", state });
    this.#show(state);
  }

  #show(state: State): void {
    this.#state = state;
    this.#options.onState(state);
    // What ends one tab's poll would end that of the next leader too.
    if (state.name === "stopped") this.stop();
  }

  #hear(told: Told): void {
    if (told.kind === "hello") {
      if (!this.#lead) return;
      const visible = this.#options.isVisible();
      this.#tell({ kind: "leader", cursor: this.#reader.cursor, state: this.#state, visible });
    } else if (told.kind === "batch") {
      this.#reader.take(told.from, told.batch);
    } else if (told.kind === "state") {
      if (!this.#lead) this.#show(told.state);
    } else if (!this.#lead) {
      clearTimeout(this.#silence);
      this.#show(told.state);
      this.#reader.reach(told.cursor);
      if (!told.visible) this.#takeOver();
    }
  }
}
