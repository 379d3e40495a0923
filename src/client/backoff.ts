/**
 * Timing of retries: exponential backoff with full jitter, so that a thousand clients do not return together. Wake-ups
 * (network back, page shown, machine awake) cut it short. One request or one pause runs at a time, on one timer.
 */
import type { RequestOptions } from "./options.js";
import { type Init, type Result, request } from "./request.js";

/** Limit of the first pause; each further one may be twice as long. */
const FIRST_PAUSE_MS = 1000;
const MAX_PAUSE_MS = 30_000;
/** Shortest pause, because full jitter may draw zero again and again. */
const MIN_PAUSE_MS = 250;
/** How long a request or pause runs before a wake-up ends it: a storm of events must not cause a storm of requests. */
const MIN_RUN_MS = 1000;
/** How often the clock is read. If it is `SLEEP_MS` later than expected, the machine has slept. */
const CLOCK_INTERVAL_MS = 2000;
const SLEEP_MS = 10_000;
/** Number of connections of a browser to one host over HTTP/1.1. After a sleep all may be dead; each costs a request. */
const CONNECTIONS = 6;
/** Timeout of a request whose connection may be dead. */
const SUSPECT_TIMEOUT_MS = 2500;
const WAKE_EVENTS = ["online", "offline", "visibilitychange"];

/** The result of a request, and whether it was cut: by the timeout, a wake-up or `stop`. */
type Answer = Result & { readonly isCut: boolean };

/** The requests and pauses of one loop. */
export class Backoff {
  /** Whether the signal was aborted or `stop` was called. */
  stopped = false;
  readonly #options: RequestOptions;
  readonly #events: EventTarget | undefined;
  readonly #clock: ReturnType<typeof setInterval>;
  #clockReadAt = Date.now();
  #failures = 0;
  /** How many of the next requests may get a dead connection. */
  #suspects = 0;
  /** Ends the request or pause that is running. */
  #cut = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #endsAt = 0;
  /** The earliest end by a wake-up. */
  #mayEndAt = 0;

  /** Listens for wake-ups. The signal of the options ends the running request or pause, and with it the loop. */
  constructor(options: RequestOptions) {
    const { signal, events } = options;
    this.#options = options;
    // Node has no `addEventListener`.
    this.#events = events ?? (typeof globalThis.addEventListener === "function" ? globalThis : undefined);
    signal?.addEventListener("abort", this);
    for (const name of WAKE_EVENTS) this.#events?.addEventListener(name, this);
    // The timers of a hidden tab may run once a minute. That looks like sleep, too, and costs one more poll.
    this.#clock = setInterval(() => {
      if (Date.now() - this.#clockReadAt > CLOCK_INTERVAL_MS + SLEEP_MS) this.wake();
      this.#clockReadAt = Date.now();
    }, CLOCK_INTERVAL_MS);
    if (signal?.aborted) this.stop();
  }

  /** Ends the running request or pause, and releases all timers and listeners. */
  stop(): void {
    this.stopped = true;
    clearInterval(this.#clock);
    // Not by the `signal` option of addEventListener, which Chrome knows from version 90 on.
    this.#options.signal?.removeEventListener("abort", this);
    for (const name of WAKE_EVENTS) this.#events?.removeEventListener(name, this);
    this.#endBy(0);
  }

  /** Sends a request. A cut says nothing about the server, so the caller may try again at once. */
  async request(url: string, init: Init, timeoutMs: number): Promise<Answer> {
    const isSuspect = this.#suspects-- > 0;
    const signal = this.#begin(isSuspect ? Math.min(SUSPECT_TIMEOUT_MS, timeoutMs) : timeoutMs, 0);
    const result = await request(this.#options, url, { ...init, signal });
    const isCut = signal.aborted;
    this.#endBy(0);
    if (!isCut) this.#suspects = 0;
    // After a timeout, the other connections may be dead, too.
    else if (!isSuspect) this.#suspects = CONNECTIONS;
    return { ...result, isCut };
  }

  /** Waits `ms`. A wake-up ends the wait sooner, but not before `minDelay` ms. */
  async pause(ms: number, minDelay: number): Promise<void> {
    const signal = this.#begin(ms, minDelay);
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
  }

  /** Counts a failure. Returns the length of the next pause in ms: the jitter, on top of `minDelay`. */
  failed(minDelay: number): number {
    const limit = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures++);
    return minDelay + Math.max(MIN_PAUSE_MS, Math.random() * limit);
  }

  /** Forgets the failures. */
  succeeded(): void {
    this.#failures = 0;
  }

  /** Tries again soon, after a wake-up. A running request may be dead. */
  wake(): void {
    // One wake-up causes several events; the clock must not act as a second one.
    this.#clockReadAt = Date.now();
    // Earlier failures no longer count, and the connections of the next requests may be dead.
    this.#failures = 0;
    this.#suspects = CONNECTIONS;
    this.#endBy(this.#mayEndAt);
  }

  /** Receives the wake-up events and the end of the signal. */
  handleEvent({ type }: Event): void {
    if (type === "abort") this.stop();
    // After `offline`, too: a poll may stay held on a dead line, and the next request shows whether the server answers.
    else if (type !== "visibilitychange" || !globalThis.document?.hidden) this.wake();
  }

  /** Begins a request or a pause. The returned signal is aborted when it must end. */
  #begin(ms: number, minDelay: number): AbortSignal {
    const now = performance.now();
    this.#cut = new AbortController();
    this.#mayEndAt = now + Math.max(minDelay, MIN_RUN_MS);
    this.#endsAt = Number.POSITIVE_INFINITY;
    this.#endBy(this.stopped ? 0 : now + ms);
    return this.#cut.signal;
  }

  /** Ends the request or pause at `endsAt`, unless it ends sooner. */
  #endBy(endsAt: number): void {
    if (endsAt >= this.#endsAt) return;
    clearTimeout(this.#timer);
    this.#endsAt = endsAt;
    const left = endsAt - performance.now();
    // Without a timer if possible: the timers of a hidden tab are late.
    if (left > 0) this.#timer = setTimeout(() => this.#cut.abort(), left);
    else this.#cut.abort();
  }
}
