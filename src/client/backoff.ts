/**
 * When to try again. A failure is waited out by exponential backoff with full jitter, so that a thousand clients do
 * not return together; what the server asked for comes first. A try or a wait is cut short when the world has changed:
 * the network is back, the page is shown again, the machine woke up. Everything ends with the signal.
 *
 * There is one wait at a time, a try or a pause, and one timer for it; a wake-up only brings its end forward.
 */

/** The first backoff is at most this long (ms); each further one may be twice as long. */
const FIRST = 1000;
/** No backoff is longer than this (ms). */
const LONGEST = 30_000;
/** Nor shorter (ms): full jitter may draw zero, again and again. */
const SHORTEST = 250;
/** The longest wait a server may ask for (ms). A wrong `Retry-After` should not silence a page for a day. */
const PATIENCE = 300_000;
/** Wake-ups act at most this often (ms): a storm of events is no storm of requests. */
const WAKE_GAP = 2000;
/** How often the clock is looked at, and how far beyond that it must have moved (ms) to say that we slept. */
const TICK = 2000;
const JUMP = 10_000;

/** What a server may ask for as a wait, in milliseconds: 0 for what is no wait at all, at most five minutes. */
export function patience(ms: unknown): number {
  return typeof ms === "number" && ms > 0 ? Math.min(ms, PATIENCE) : 0;
}

/** The wait that a `Retry-After` asks for (seconds or an HTTP date), in milliseconds; 0 if it is absent or garbage. */
export function retryAfter(header: string | null): number {
  const text = header?.trim() ?? "";
  if (/^\d+$/.test(text)) return patience(Number(text) * 1000);
  // Date.parse alone takes nearly anything for a date.
  return text.endsWith("GMT") ? patience(Date.parse(text) - Date.now()) : 0;
}

/** The tries and waits of one loop. */
export class Backoff {
  readonly #life = new AbortController();
  #clock: ReturnType<typeof setInterval> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #end: (() => void) | undefined;
  #trying = false;
  #due = 0;
  #soonest = 0;
  #ticked = Date.now();
  #wokenAt = Number.NEGATIVE_INFINITY;

  /**
   * @param signal ends the try or pause in progress, and with it the loop
   * @param events where `online`, `offline`, `pageshow` and `visibilitychange` are heard: a window, or nothing
   */
  constructor(signal: AbortSignal | undefined, events: EventTarget | undefined) {
    if (signal?.aborted) {
      this.stop();
      return;
    }
    const until = { signal: this.#life.signal };
    signal?.addEventListener("abort", () => this.stop(), until);
    events?.addEventListener("online", () => this.#wake(true), until);
    // A poll may stay held on a cut line. Asking again tells whether the room can be reached all the same.
    events?.addEventListener("offline", () => this.#wake(true), until);
    // A page out of the back/forward cache holds a dead poll; one that is only shown may hold a good one.
    events?.addEventListener("pageshow", (e) => this.#wake("persisted" in e && e.persisted === true), until);
    const visible = () => typeof document === "undefined" || document.visibilityState === "visible";
    events?.addEventListener("visibilitychange", () => visible() && this.#wake(false), until);
    // A hidden tab's timers may run once a minute. That looks like sleep too, and costs it one more poll.
    this.#clock = setInterval(() => {
      if (Date.now() - this.#ticked > TICK + JUMP) this.#wake(true);
      this.#ticked = Date.now();
    }, TICK);
  }

  /** Whether it is over: the signal came, or `stop` was called. */
  get stopped(): boolean {
    return this.#life.signal.aborted;
  }

  /** Ends what is in progress, and leaves no timer and no listener. */
  stop(): void {
    this.#life.abort();
    clearInterval(this.#clock);
    this.#end?.();
  }

  /** Runs one try. Its signal is aborted after `limit` milliseconds, by a wake-up, or by the end of all. */
  async attempt<T>(limit: number, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const cut = new AbortController();
    this.#begin(() => cut.abort(), limit, 0);
    this.#trying = true;
    try {
      return await run(cut.signal);
    } finally {
      this.#trying = false;
      this.#done();
    }
  }

  /** Waits `ms`; a wake-up may cut that short, though not to less than `least`. */
  async pause(ms: number, least: number): Promise<void> {
    await new Promise<void>((resolve) => this.#begin(resolve, ms, least));
    this.#done();
  }

  /** Counts a failure. Returns how long to pause (ms): the `least` that was asked for, and the jitter on top. */
  failed(least: number): number {
    const most = Math.min(LONGEST, FIRST * 2 ** this.#failures++);
    return least + Math.max(SHORTEST, Math.random() * most);
  }

  /** Forgets the failures: it went well. */
  succeeded(): void {
    this.#failures = 0;
  }

  /** @param restart whether a try in progress is cut too, because its connection is most likely dead */
  #wake(restart: boolean): void {
    // One awakening has several signs; the clock need not be the second.
    if (restart) this.#ticked = Date.now();
    if (!this.#end || (this.#trying && !restart)) return;
    // What failed before says nothing of now; and the first try may come before the network is quite there.
    this.#failures = 0;
    const due = Math.max(performance.now(), this.#wokenAt + WAKE_GAP, this.#soonest);
    if (due >= this.#due) return;
    this.#wokenAt = due;
    this.#arm(due);
  }

  #begin(end: () => void, ms: number, least: number): void {
    if (this.stopped) {
      end();
      return;
    }
    const now = performance.now();
    this.#end = end;
    this.#soonest = now + least;
    this.#arm(now + ms);
  }

  #arm(due: number): void {
    clearTimeout(this.#timer);
    this.#due = due;
    const left = due - performance.now();
    // Not by a timer if it can be now: a hidden tab's timers are late.
    if (left > 0) this.#timer = setTimeout(() => this.#end?.(), left);
    else this.#end?.();
  }

  #done(): void {
    clearTimeout(this.#timer);
    this.#end = undefined;
  }
}
