/**
 * Follows a feed: one long poll after another, from cursor to cursor. A poll that fails leaves the cursor unchanged, so
 * nothing is lost. The first poll, and the first after a failure, is a probe (`wait=0`): it shows at once whether the
 * server answers, turns `now` into a cursor, and resets the back-off.
 */
import { Backoff } from "./backoff.js";
import type { PollOptions, Position, State, StopReason } from "./options.js";
import { type Fields, fieldsOf, type Result, randomId, toDelay } from "./request.js";

/**
 * A poll that takes less than this and moves no cursor was not held. The next one begins this long after its start, so
 * a server or proxy that holds no polls gets one a second.
 */
const INTERVAL_MS = 1000;
/**
 * The first `BURST` polls that move the cursor follow each other at once, because the timers of a hidden tab are late.
 * Later ones follow at this interval.
 */
const BURST = 20;
const BURST_INTERVAL_MS = 100;
/** How long polls stay shortened before longer ones are tried. A failed try costs a reconnection of up to a second. */
const LENGTHEN_AFTER_MS = 300_000;

/**
 * Reads the content of a reply. Returns undefined if it is malformed: half a reply would lose the rest.
 * @param since the cursor that the reply follows
 */
export type Decode<T> = (body: Fields, since: string, gap: boolean) => T | undefined;

type Replies<T> = AsyncGenerator<T & Position, void>;

/** Polls a URL and returns the decoded replies. @throws RangeError if an option is out of range */
export function poll<T>(url: string, options: PollOptions, decode: Decode<T>): Replies<T> {
  const settings = { since: "now", wait: 25, timeoutSlack: 10, client: randomId(), ...options };
  for (const name of ["wait", "timeoutSlack"] as const)
    if (!(settings[name] >= 1 && settings[name] <= 60))
      throw new RangeError(`${name} must be 1 to 60 seconds, not ${settings[name]}`);
  return run(url, settings, decode);
}

type Settings = PollOptions & Required<Pick<PollOptions, "since" | "wait" | "timeoutSlack" | "client">>;

async function* run<T>(url: string, settings: Settings, decode: Decode<T>): Replies<T> {
  const { client, timeoutSlack, onState } = settings;
  const [address = ""] = url.split("#");
  const backoff = new Backoff(settings);
  let { since: cursor, wait: maxWait } = settings;
  let lengthenAt = 0;
  /** When the next poll would be due if there were one in every interval. */
  let due = 0;
  let state = "";

  const setState = (next: State) => {
    if (next.name !== state) onState?.(next);
    state = next.name;
  };
  const stop = (reason: StopReason, message: string) => setState({ name: "stopped", reason, message });
  const pause = (delay: number, minDelay: number, code: string, message: string) => {
    setState({ name: "waiting", until: Math.round(Date.now() + delay), code, message });
    return backoff.pause(delay, minDelay);
  };
  const setMaxWait = (seconds: number) => {
    maxWait = Math.min(settings.wait, Math.floor(seconds));
    lengthenAt = performance.now() + LENGTHEN_AFTER_MS;
  };
  /** Polls that were not held, or were cut, are followed by shorter ones; in the end by polls without a wait. */
  const shorten = (wait: number) => {
    if (wait > 0) setMaxWait(wait / 2);
  };

  try {
    while (!backoff.stopped) {
      const isProbe = state !== "live";
      if (isProbe) setState({ name: "connecting" });
      const startedAt = performance.now();
      if (startedAt > lengthenAt) setMaxWait(Math.max(1, maxWait * 2));
      const wait = isProbe ? 0 : maxWait;
      const query = new URLSearchParams({ since: cursor, wait: String(wait), client });
      const target = `${address}${address.includes("?") ? "&" : "?"}${query}`;
      const result = await backoff.request(target, {}, (wait + timeoutSlack) * 1000);
      if (backoff.stopped) break;
      const elapsed = performance.now() - startedAt;
      const reply = parse(result, cursor, decode);

      if (reply?.superseded) return stop("superseded", "a newer poll has taken over");
      if (reply) {
        const { content, gap, retry } = reply;
        setState({ name: "live" });
        const isNew = reply.cursor !== cursor;
        // A server may report the same gap again and again. It is passed on once.
        yield { ...content, cursor: reply.cursor, ...(gap && isNew && { gap }) };
        cursor = reply.cursor;
        let delay = INTERVAL_MS - elapsed;
        // Two servers with two histories report gaps alternately, each with all that it keeps. After an outage, one gap is normal.
        if (gap) delay = isProbe ? 0 : backoff.failed(0);
        else {
          backoff.succeeded();
          if (elapsed >= INTERVAL_MS || isNew) {
            const now = performance.now();
            due = Math.max(due, now) + BURST_INTERVAL_MS;
            delay = due - now - BURST * BURST_INTERVAL_MS;
          } else if (isProbe && maxWait > 0 && retry === undefined) delay = 0;
          else if (retry === undefined) shorten(wait);
        }
        if (retry !== undefined)
          await pause(Math.max(delay, retry), retry, "draining", "the server is about to stop");
        else if (delay > 0) await backoff.pause(delay, delay);
      } else if (!result.isCut) {
        const { status, code, message, final, minDelay } = result;
        if (final)
          return stop(status === 401 ? "no_session" : code === "not_you" ? code : "refused", message);
        shorten(wait);
        await pause(backoff.failed(minDelay), minDelay, code, message);
      } else {
        setState({ name: "connecting" });
        // The timeout has cut the poll, not a wake-up.
        if (elapsed > wait * 1000) shorten(wait);
      }
    }
    stop("aborted", "the signal was aborted");
  } finally {
    backoff.stop();
  }
}

/** Returns the checked fields of a reply; undefined if it is not the protocol's. */
function parse<T>({ status, body }: Result, since: string, decode: Decode<T>) {
  const fields = fieldsOf(body);
  const { cursor, superseded, retry } = fields;
  if (status !== 200 || typeof cursor !== "string" || cursor === "") return undefined;
  const gap = fields.gap === true;
  const content = decode(fields, since, gap);
  const delay = retry === undefined ? undefined : toDelay(retry);
  return content && { content, cursor, gap, superseded: superseded === true, retry: delay };
}
