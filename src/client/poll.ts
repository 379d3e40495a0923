/**
 * Follows a feed: one long poll after another, from cursor to cursor. A poll that fails leaves the cursor unchanged, so
 * nothing is lost. The first poll, and the first after a failure, is a probe (`wait=0`): it shows at once whether the
 * server answers, turns `now` into a cursor, and resets the back-off.
 */
import { Backoff } from "./backoff.js";
import { type Fields, fieldsOf, type RequestOptions, type Result, randomId, toDelay } from "./request.js";

/**
 * A poll that takes less than this and moves no cursor was not held. The next one begins this long after its start, so
 * a server or proxy that holds no polls gets one a second.
 */
const INTERVAL_MS = 1000;
/**
 * Polls that move the cursor follow each other at once for a short time, because the timers of a hidden tab are late. In a
 * busy room, which answers in larger batches, they then follow at this interval.
 */
const NEWS_INTERVAL_MS = 100;
const BURST_MS = 2000;
/** How long a poll may outlive its wait before it is cut. */
const SLACK_MS = 10_000;
/** How long polls stay shortened before the full wait is tried again. A failed try costs a reconnection of up to a second. */
const LENGTHEN_AFTER_MS = 900_000;

/**
 * Why polling has ended. `superseded`: a newer poll has the same `client`. `no_session`: log in again. `not_you`: the
 * session is another user's. `refused`: the server refuses for another reason. `aborted`: by the signal.
 */
export type StopReason = "superseded" | "no_session" | "not_you" | "refused" | "aborted";

/**
 * The state of the poll. While `waiting`, the next attempt is at `until` (ms since the Unix epoch), or sooner after a
 * wake-up. `code` is the reason: an error code of the protocol, `unreachable` (no reply) or `bad_answer` (a reply that is
 * not the protocol's, such as a firewall's page). `message` is English, for a log.
 */
export type State =
  | { readonly name: "connecting" | "live" }
  | { readonly name: "waiting"; readonly until: number; readonly code: string; readonly message: string }
  | { readonly name: "stopped"; readonly reason: StopReason; readonly message: string };

/** Options of a poll. */
export interface PollOptions extends RequestOptions {
  /** A cursor, `"0"` for everything that is kept, or `"now"` (default) for what comes next. */
  readonly since?: string;
  /**
   * Longest time that the server holds a poll: 1 to 60 seconds, default 25. Polls are shorter while a proxy cuts them. If
   * it cuts even those of a second, there is a poll without a wait every second.
   */
  readonly wait?: number;
  /** Id of this poll; a newer poll with the same id supersedes it. At most 64 of `[A-Za-z0-9_-]`, random by default. */
  readonly client?: string;
  /** Called on each change of state. */
  readonly onState?: (state: State) => void;
}

/** The position in the feed after a reply. */
export interface Position {
  /** Pass it as `since` to continue from here. */
  readonly cursor: string;
  /** Present if events before these are missing, or if the feed has another history. */
  readonly gap?: true;
}

/**
 * Reads the content of a reply. Returns undefined if it is malformed: half a reply would lose the rest.
 * @param since the cursor that the reply follows
 */
export type Decode<T> = (body: Fields, since: string, gap: boolean) => T | undefined;

type Replies<T> = AsyncGenerator<T & Position, void>;

/** One reply of a feed. */
export interface FeedBatch extends Position {
  /** The events as they were pushed, in order. Often there are none. */
  readonly events: readonly unknown[];
}

/**
 * Returns the batches of the feed at `url`, for one loop. Polling begins with the first step. An unreachable server is
 * retried without end. The loop ends without an error when polling ends; `onState` receives the reason. Abort the
 * signal to end it from outside. The first step throws a `RangeError` if `wait` is out of range.
 */
export function follow(url: string | URL, options: PollOptions = {}): AsyncGenerator<FeedBatch, void> {
  return poll(String(url), options, ({ events }) => (Array.isArray(events) ? { events } : undefined));
}

/** Polls a URL and returns the decoded replies. */
export async function* poll<T>(url: string, options: PollOptions, decode: Decode<T>): Replies<T> {
  const { since = "now", wait: fullWait = 25, client = randomId(), onState } = options;
  if (!(fullWait >= 1 && fullWait <= 60))
    throw new RangeError(`wait must be 1 to 60 seconds, not ${fullWait}`);
  const [address = ""] = url.split("#");
  const backoff = new Backoff(options);
  let cursor = since;
  let maxWait = fullWait;
  let lengthenAt = 0;
  /** When the next poll is due after one that moves the cursor. */
  let due = Number.NEGATIVE_INFINITY;
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
  /** Polls that were not held, or were cut, are followed by shorter ones; in the end by polls without a wait. */
  const shorten = (wait: number) => {
    if (wait === 0) return;
    maxWait = Math.floor(wait / 2);
    lengthenAt = performance.now() + LENGTHEN_AFTER_MS;
  };

  try {
    while (!backoff.stopped) {
      const isProbe = state !== "live";
      if (isProbe) setState({ name: "connecting" });
      const startedAt = performance.now();
      if (startedAt > lengthenAt) maxWait = fullWait;
      const wait = isProbe ? 0 : maxWait;
      const query = new URLSearchParams({ since: cursor, wait: String(wait), client });
      const target = `${address}${address.includes("?") ? "&" : "?"}${query}`;
      const result = await backoff.request(target, {}, wait * 1000 + SLACK_MS);
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
        if (isNew) due = Math.max(due, startedAt - BURST_MS) + NEWS_INTERVAL_MS;
        const delay = isNew ? due - performance.now() : INTERVAL_MS - elapsed;
        if (retry > 0) await pause(Math.max(retry, delay), retry, "draining", "the server is about to stop");
        // Two servers with two histories report gaps alternately, each with all that it keeps.
        else if (gap && !isProbe) await backoff.pause(backoff.failed(0));
        else {
          backoff.failures = 0;
          if (isProbe && maxWait > 0) continue;
          if (!isNew && delay > 0) shorten(wait);
          await backoff.pause(delay);
        }
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
  const { cursor, superseded, retry, ...fields } = fieldsOf(body);
  if (status !== 200 || typeof cursor !== "string" || cursor === "") return undefined;
  const gap = fields.gap === true;
  const content = decode(fields, since, gap);
  return content && { content, cursor, gap, superseded: superseded === true, retry: toDelay(retry) };
}
