/**
 * Timing of retries: exponential backoff with full jitter, so that a thousand clients do not return together. A wake-up
 * (network back, page shown, machine awake) ends a pause or a request early. At most one request or pause runs at a time, on one timer.
 */
import { type Init, type RequestOptions, type Result, request } from "./request.js";

/** Limit of the first pause; each further one may be twice as long. */
const FIRST_PAUSE_MS = 1000;
/** Limit of every pause, without the delay that the server asks for. */
const MAX_PAUSE_MS = 30_000;
/** Shortest pause, because full jitter may draw zero again and again. */
const MIN_PAUSE_MS = 250;
/** Shortest time before a wake-up may end a request or pause: a storm of events must not cause a storm of requests. */
const MIN_RUN_MS = 1000;
/** How often the clock is read. If it is `SLEEP_MS` later than expected, the machine has slept. */
const CLOCK_INTERVAL_MS = 2000;
const SLEEP_MS = 10_000;
/**
 * After a sleep, all connections of a browser to one host may be dead: six over HTTP/1.1. Each makes one request fail. So up to
 * seven requests in a row have a short timeout: six for the connections, and one that the wake-up itself may have cut.
 */
const SUSPECTS = 7;
const SUSPECT_TIMEOUT_MS = 2500;
const WAKE_EVENTS = ["online", "offline", "visibilitychange"];

/** The result of a request, and whether it was cut: by the timeout, a wake-up or `stop`. */
type Answer = Result & { readonly isCut: boolean };

/** The requests and pauses of one loop. */
export class Backoff {
  /** Whether the signal was aborted or `stop` was called. */
  stopped = false;
  /** Number of failures since the server answered. */
  failures = 0;
  readonly #clock: ReturnType<typeof setInterval>;
  #clockReadAt = Date.now();
  /** Number of requests in a row that were cut. */
  #cuts = 0;
  /** Ends the request or pause that is running. */
  #run = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When a wake-up may end it. */
  #mayEndAt = 0;

  /** Listens for wake-ups. The signal of the options ends the running request or pause, and with it the loop. */
  constructor(private readonly options: RequestOptions) {
    options.signal?.addEventListener("abort", this);
    // Node has no global `addEventListener`.
    for (const name of WAKE_EVENTS) globalThis.addEventListener?.(name, this);
    // The timers of a hidden tab may run once a minute. That looks like sleep, too, and costs one more poll.
    this.#clock = setInterval(() => {
      if (Date.now() - this.#clockReadAt > CLOCK_INTERVAL_MS + SLEEP_MS) this.wake();
      this.#clockReadAt = Date.now();
    }, CLOCK_INTERVAL_MS);
    if (options.signal?.aborted) this.stop();
  }

  /** Ends the running request or pause, and releases all timers and listeners. */
  stop(): void {
    this.stopped = true;
    clearInterval(this.#clock);
    // Not by the option `signal` of addEventListener, which Chrome has from version 90 on.
    this.options.signal?.removeEventListener("abort", this);
    for (const name of WAKE_EVENTS) globalThis.removeEventListener?.(name, this);
    this.#endAt(0);
  }

  /** Sends a request. A cut says nothing about the server, so the caller may try again at once. */
  async request(url: string, init: Init, timeoutMs: number): Promise<Answer> {
    const isSuspect = this.#cuts > 0 && this.#cuts <= SUSPECTS;
    const signal = this.#begin(isSuspect ? Math.min(SUSPECT_TIMEOUT_MS, timeoutMs) : timeoutMs, 0);
    const result = await request(this.options, url, { ...init, signal });
    const isCut = signal.aborted;
    this.#endAt(0);
    this.#cuts = isCut ? this.#cuts + 1 : 0;
    return { ...result, isCut };
  }

  /** Waits `ms`. A wake-up ends the wait sooner, but not before `minDelay` ms. By default, a wake-up does not end it. */
  async pause(ms: number, minDelay = ms): Promise<void> {
    const signal = this.#begin(ms, minDelay);
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
  }

  /** Counts a failure. Returns the length of the next pause in ms: the jitter, on top of `minDelay`. */
  failed(minDelay: number): number {
    const limit = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.failures++);
    return minDelay + Math.max(MIN_PAUSE_MS, Math.random() * limit);
  }

  /** Tries again soon, after a wake-up. A running request may be dead, and earlier failures no longer count. */
  wake(): void {
    // One wake-up causes several events; the clock must not act as a second one.
    this.#clockReadAt = Date.now();
    this.failures = 0;
    this.#cuts = 1;
    if (!this.#run.signal.aborted) this.#endAt(this.#mayEndAt);
  }

  /** Receives the wake-up events and the end of the signal. */
  handleEvent({ type }: Event): void {
    if (type === "abort") this.stop();
    // After `offline`, too: a poll may stay held on a dead line, and the next request shows whether the server answers.
    else if (type !== "visibilitychange" || !globalThis.document?.hidden) this.wake();
  }

  /** Begins a request or a pause of at most `ms`. The returned signal is aborted when it must end. */
  #begin(ms: number, minDelay: number): AbortSignal {
    const now = performance.now();
    this.#run = new AbortController();
    this.#mayEndAt = now + Math.min(ms, Math.max(minDelay, MIN_RUN_MS));
    this.#endAt(this.stopped ? 0 : now + ms);
    return this.#run.signal;
  }

  #endAt(time: number): void {
    clearTimeout(this.#timer);
    const left = time - performance.now();
    // Without a timer if possible: the timers of a hidden tab are late.
    if (left > 0) this.#timer = setTimeout(() => this.#run.abort(), left);
    else this.#run.abort();
  }
}
