/**
 * Follows a feed: one long poll after another, from cursor to cursor. A poll that fails leaves the cursor unchanged, so
 * nothing is lost. The first poll, and the first after a failure, is a probe (`wait=0`): it reports at once whether the
 * server answers, and turns `now` into a cursor.
 */
import { Backoff, toDelay } from "./backoff.js";
import type { PollOptions, Position, State, StopReason } from "./options.js";
import { isObject, type Result, randomId, request } from "./request.js";

/** A reply without events sooner than this was not held. */
const HELD_MS = 500;
/** The first `BURST` polls that bring events follow each other at once, later ones at this interval. */
const BURST = 20;
const BURST_INTERVAL_MS = 100;
/** How long polls stay shortened before a longer one is tried. A failed try costs a reconnection of up to a second. */
const LENGTHEN_AFTER_MS = 300_000;

/**
 * Reads what a reply brings besides its position. Undefined if it is malformed: half a reply would lose the rest.
 * @param since the cursor that the reply comes after
 */
export type Decode<T> = (
  body: { readonly [field: string]: unknown },
  since: string,
  gap: boolean,
) => { readonly content: T; readonly hasNews: boolean } | undefined;

/** Polls a URL and returns the decoded replies. @throws RangeError if an option is out of range */
export function poll<T>(
  url: string,
  options: PollOptions,
  decode: Decode<T>,
): AsyncGenerator<T & Position, void> {
  const settings = { since: "now", wait: 25, timeoutSlack: 10, client: randomId(), ...options };
  for (const name of ["wait", "timeoutSlack"] as const)
    if (!(settings[name] >= 1 && settings[name] <= 60))
      throw new RangeError(`${name} must be 1 to 60 seconds, not ${settings[name]}`);
  // A generator around the loop, so that nothing begins before the first step.
  async function* run() {
    yield* new Poll(url, settings, decode).run();
  }
  return run();
}

type Settings = PollOptions & Required<Pick<PollOptions, "since" | "wait" | "timeoutSlack" | "client">>;

/** The loop and its position. */
class Poll<T> {
  readonly #url: string;
  readonly #settings: Settings;
  readonly #decode: Decode<T>;
  readonly #backoff: Backoff;
  #state = "";
  #cursor: string;
  /** Whether the next poll is a probe. */
  #isProbe = true;
  /** Whether the server refused our cursor, so that the next reply comes after a gap. */
  #isLost = false;
  /** When the next poll would be due, had there been one every `BURST_INTERVAL_MS`. */
  #due = 0;
  #wait: number;
  #lengthenAt = 0;
  /** Whether held polls are refused, so that a shorter wait does not help and an answered probe does not reset the backoff. */
  #refusesHeld = false;

  constructor(url: string, settings: Settings, decode: Decode<T>) {
    this.#url = url;
    this.#settings = settings;
    this.#decode = decode;
    this.#cursor = settings.since;
    this.#wait = settings.wait;
    this.#backoff = new Backoff(settings);
  }

  async *run(): AsyncGenerator<T & Position, void> {
    const backoff = this.#backoff;
    try {
      while (!backoff.stopped) {
        this.#setState({ name: this.#isProbe ? "connecting" : "live" });
        const wait = this.#isProbe ? 0 : this.#wait;
        const startedAt = performance.now();
        const result = await this.#request(wait);
        if (backoff.stopped) break;
        const elapsed = performance.now() - startedAt;
        const reply = result && this.#read(result);
        if (reply?.superseded) return this.#stop("superseded", "a newer poll has taken over");
        if (reply) {
          this.#setState({ name: "live" });
          const { cursor, gap, content, hasNews } = reply;
          const isNew = cursor !== this.#cursor;
          // A server that reports the same gap again and again is believed once.
          yield { ...content, cursor, ...(gap && isNew && { gap }) };
          this.#cursor = cursor;
          this.#isLost = false;
          const isHeld = wait > 0 && elapsed >= HELD_MS;
          // A gap is not progress: two servers with two histories would send us back and forth.
          await this.#pace(wait, !gap && (isHeld || (hasNews && isNew)), reply.retry);
        } else if (result) {
          if (await this.#failed(result, wait, elapsed)) return;
        } else {
          this.#isProbe = true;
          if (wait > 0 && elapsed > wait * 1000) {
            this.#setWait(wait / 2);
            backoff.suspect();
          }
        }
      }
      this.#stop("aborted", "the signal was aborted");
    } finally {
      backoff.stop();
    }
  }

  #request(wait: number): Promise<Result | undefined> {
    const { client, timeoutSlack } = this.#settings;
    const query = new URLSearchParams({ since: this.#cursor, wait: String(wait), client });
    const [address = ""] = this.#url.split("#");
    const url = `${address}${address.includes("?") ? "&" : "?"}${query}`;
    const ask = (signal: AbortSignal) => request(this.#settings, url, { signal });
    return this.#backoff.attempt((wait + timeoutSlack) * 1000, ask);
  }

  /** Checks a reply before it is believed. Undefined if it is not the protocol's. */
  #read({ status, body }: Result) {
    if (status !== 200 || !isObject<Record<string, unknown>>(body)) return undefined;
    const { cursor, superseded, retry } = body;
    if (typeof cursor !== "string" || cursor === "") return undefined;
    const gap = body.gap === true || this.#isLost;
    const decoded = this.#decode(body, this.#cursor, gap);
    const delay = retry === undefined ? undefined : toDelay(retry);
    return decoded && { ...decoded, cursor, gap, superseded: superseded === true, retry: delay };
  }

  /** After a good reply: waits before the next poll, mostly not at all. */
  async #pace(wait: number, progress: boolean, retry: number | undefined): Promise<void> {
    const minDelay = retry ?? 0;
    const now = performance.now();
    this.#due = Math.max(this.#due, now) + BURST_INTERVAL_MS;
    let delay = Math.max(minDelay, this.#due - now - BURST * BURST_INTERVAL_MS);
    this.#isProbe = retry !== undefined;
    if (!progress && (wait > 0 || this.#isProbe)) delay = this.#backoff.failed(minDelay);
    else if (wait > 0 || !this.#refusesHeld) {
      this.#refusesHeld = false;
      this.#backoff.succeeded();
      if (wait > 0 && now > this.#lengthenAt) this.#setWait(this.#wait * 2);
    }
    if (this.#isProbe) await this.#pause(delay, minDelay, "draining", "the server is about to stop");
    else if (delay > 1000) await this.#pause(delay, 0, "not_held", "the server does not hold polls");
    else if (delay > 0) await this.#backoff.pause(delay, delay);
  }

  /** After any other reply: waits for the next attempt and returns false; returns true if polling has ended. */
  async #failed(result: Result, wait: number, elapsed: number): Promise<boolean> {
    const { code, message, final, minDelay } = result;
    if (code === "bad_cursor" && this.#cursor !== "0") {
      this.#cursor = "0";
      this.#isLost = true;
    } else if (final) {
      const reason = result.status === 401 ? "no_session" : code === "not_you" ? code : "refused";
      this.#stop(reason, message);
      return true;
    }
    if (wait > 0) {
      const isCut = elapsed >= HELD_MS && (code === "unreachable" || code === "bad_answer");
      this.#refusesHeld = !isCut || wait <= 1;
      if (isCut) this.#setWait(wait / 2);
    }
    this.#isProbe = true;
    await this.#pause(this.#backoff.failed(minDelay), minDelay, code, message);
    return false;
  }

  /** Changes the wait: shorter when a held poll was cut, as by an impatient proxy, and longer again after a while. */
  #setWait(seconds: number): void {
    this.#wait = Math.min(this.#settings.wait, Math.ceil(seconds));
    this.#lengthenAt = performance.now() + LENGTHEN_AFTER_MS;
  }

  async #pause(delay: number, minDelay: number, code: string, message: string): Promise<void> {
    this.#setState({ name: "waiting", until: Math.round(Date.now() + delay), code, message });
    await this.#backoff.pause(delay, minDelay);
  }

  #stop(reason: StopReason, message: string): void {
    this.#setState({ name: "stopped", reason, message });
  }

  #setState(state: State): void {
    if (state.name !== this.#state) this.#settings.onState?.(state);
    this.#state = state.name;
  }
}
