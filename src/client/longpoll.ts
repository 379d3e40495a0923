/**
 * The protocol's client, the same for browsers and for Node: `fetch` and timers, no DOM.
 *
 * The life of a poll: it asks for what comes after the cursor, and the answer is handed out as a batch. When the
 * consumer comes for the next batch, the cursor moves and the next poll goes out. A poll that fails, hangs or is cut
 * leaves the cursor where it was, so nothing is lost. The first poll, and the first after a failure, asks with
 * `wait=0`: it says at once whether the room is there, and turns `now` into a cursor before anything can be missed.
 *
 * Only news, or an answer that was held, is followed by a poll at once. Any other answer is paced like a failure, so
 * that no server, however wrong, makes a tight loop.
 */
import { Backoff } from "./backoff.js";
import { type Batch, isBehind, isKnown, type Reply, readReply } from "./reply.js";
import { type Answer, type RoomOptions, randomId, refusal, request } from "./request.js";
import { type SendOptions, sender } from "./send.js";

export type { Message } from "../store/store.js";
export type { Batch } from "./reply.js";
export { SendError, type SendOptions } from "./send.js";

/** An answer without news sooner than this (ms) was not held. */
const HELD = 500;
/** Polls that bring news: this many at once, and then one per so many milliseconds. */
const BURST = 20;
const PACE = 100;
/** How many ids are remembered, to know a message again. After a gap, older ones would be handed out twice. */
const REMEMBERED = 5000;

/**
 * Why a poll is over. `superseded`: a newer poll has the same `client`. `no_session`: log in again. `not_you`: the
 * session is another user's. `refused`: the server will not have it for another reason. `aborted`: the signal.
 */
export type StopReason = "superseded" | "no_session" | "not_you" | "refused" | "aborted";

/**
 * How the poll is. `waiting`: for the next try, due at `until` (milliseconds since the Unix epoch; an event may bring
 * it forward), because of `code`: the protocol's, or `unreachable` (no answer), `bad_answer` (not the protocol's),
 * `not_held` (empty answers, too soon). `message` says more, in English, for a log.
 */
export type State =
  | { readonly name: "connecting" | "live" }
  | { readonly name: "waiting"; readonly until: number; readonly code: string; readonly message: string }
  | { readonly name: "stopped"; readonly reason: StopReason; readonly message: string };

/** What `longPoll` takes: the room, and how to poll it. */
export interface LongPollOptions extends RoomOptions {
  /** A cursor, `"0"` for all that is kept, or `"now"` (the default) for what comes next. */
  readonly since?: string;
  /** How many seconds the server may hold a poll: 1 to 60, 25 by default. */
  readonly wait?: number;
  /** How many seconds a poll may outlive its wait before it is given up: 1 to 60, 10 by default. */
  readonly slack?: number;
  /** The name of this poll, which a newer one of the same name supersedes. Random by default. */
  readonly client?: string;
  /** Told of each change of state. */
  readonly onState?: (state: State) => void;
}

/** What `longPoll` returns. */
export interface LongPoll {
  /**
   * The batches, for one loop: polling begins with its first step. A room that is away is waited for without end. The
   * loop ends quietly when the poll is over; `onState` is told why. To end it while it waits, abort the signal.
   */
  readonly batches: AsyncGenerator<Batch, void>;
  /**
   * Posts a message and returns its id. A lost answer, a 429 and a 5xx are tried again with the same key. Sends go one
   * after the other. Rejects with a `SendError`, or with the reason of the signal.
   */
  send(text: string, options?: SendOptions): Promise<string>;
}

/**
 * Polls a room and posts to it, for a user who has logged in.
 * @throws RangeError if `wait` or `slack` is out of range
 */
export function longPoll(options: LongPollOptions): LongPoll {
  const { wait = 25, slack = 10 } = options;
  for (const [name, seconds] of Object.entries({ wait, slack }))
    if (!(seconds >= 1 && seconds <= 60))
      throw new RangeError(`${name} must be 1 to 60 seconds, not ${seconds}`);
  const browser = typeof globalThis.addEventListener === "function" ? { events: globalThis } : {};
  const room = { since: "now", client: randomId(), ...browser, ...options, wait, slack };
  return { batches: poll(room), send: sender(room) };
}

type Settings = LongPollOptions & Required<Pick<LongPollOptions, "since" | "wait" | "slack" | "client">>;

// A generator around the loop, so that nothing begins before the first step.
async function* poll(room: Settings): AsyncGenerator<Batch, void> {
  yield* new Poll(room).run();
}

/** The loop, and where it stands. */
class Poll {
  readonly #room: Settings;
  readonly #backoff: Backoff;
  readonly #seen = new Set<string>();
  #cursor: string;
  /** Whether the next poll is to say at once how things are. */
  #probe = true;
  /** Whether the server would not have our cursor, so that what comes next comes after a gap. */
  #lost = false;
  /** The cursor of the last batch. */
  #last = "";
  /** When the next poll would be due, had there been one every `PACE`. */
  #due = 0;
  #state = "";

  constructor(room: Settings) {
    this.#room = room;
    this.#cursor = room.since;
    this.#backoff = new Backoff(room.signal, room.events);
  }

  async *run(): AsyncGenerator<Batch, void> {
    try {
      while (!this.#backoff.stopped) {
        this.#say({ name: this.#probe ? "connecting" : "live" });
        const wait = this.#probe ? 0 : this.#room.wait;
        const began = performance.now();
        const answer = await this.#ask(wait);
        if (this.#backoff.stopped) break;
        // Cut short: that says nothing of the server, so ask again.
        this.#probe = answer === undefined;
        if (!answer) continue;
        const reply = readReply(answer);
        if (reply?.superseded) return this.#stop("superseded", "a newer poll has taken over");
        if (reply) {
          const held = wait > 0 && performance.now() - began >= HELD;
          const gap = reply.gap === true || this.#lost;
          const messages = this.#fresh(reply.messages, gap);
          const { cursor, present } = reply;
          this.#say({ name: "live" });
          // A server that tells of the same gap for ever tells it once.
          yield {
            cursor,
            present,
            messages: messages.filter(isKnown),
            ...(gap && cursor !== this.#last && { gap }),
          };
          this.#lost = false;
          this.#cursor = this.#last = cursor;
          await this.#pace(wait, !gap && (held || messages.length > 0), reply.retry);
        } else if (await this.#refused(answer)) return;
      }
      this.#stop("aborted", "the signal was aborted");
    } finally {
      this.#backoff.stop();
    }
  }

  #ask(wait: number): Promise<Answer | undefined> {
    const { user, client, slack } = this.#room;
    const query = new URLSearchParams({ since: this.#cursor, wait: String(wait), client });
    const path = `get_post/${encodeURIComponent(user)}?${query}`;
    return this.#backoff.attempt((wait + slack) * 1000, (signal) => request(this.#room, path, { signal }));
  }

  /**
   * The messages that were not handed out before. After a gap the cursor tells nothing: what is behind it may be of
   * another history, and new; or the history lost its end, and we had it already.
   */
  #fresh(messages: Reply["messages"], gap: boolean): Reply["messages"] {
    return messages.filter(({ id }) => {
      if (this.#seen.has(id) || (!gap && isBehind(id, this.#cursor))) return false;
      const [oldest] = this.#seen;
      if (oldest !== undefined && this.#seen.size >= REMEMBERED) this.#seen.delete(oldest);
      this.#seen.add(id);
      return true;
    });
  }

  /** After a good answer: mostly nothing, so that the next poll goes out at once. */
  async #pace(wait: number, progress: boolean, retry: number | undefined): Promise<void> {
    const least = retry ?? 0;
    const now = performance.now();
    this.#due = Math.max(this.#due, now) + PACE;
    let delay = Math.max(least, this.#due - now - BURST * PACE);
    // Neither is a gap progress: two servers with two histories would send us to and fro. A probe is not to be held.
    if (progress) this.#backoff.succeeded();
    else if (wait > 0 || retry !== undefined) delay = this.#backoff.failed(least);
    this.#probe = retry !== undefined;
    if (this.#probe) await this.#rest(delay, least, "draining", "the server is about to stop");
    else if (delay > 1000) await this.#rest(delay, least, "not_held", "the server does not hold a poll");
    else if (delay > 0) await this.#backoff.pause(delay, delay);
  }

  /** After any other answer: waits for the next try, and returns false; or true if there can be none. */
  async #refused(answer: Answer): Promise<boolean> {
    const { code, message, final } = refusal(answer);
    if (code === "bad_cursor" && this.#cursor !== "0") {
      this.#cursor = "0";
      this.#lost = true;
    } else if (final) {
      const reason = answer.status === 401 ? "no_session" : code === "not_you" ? code : "refused";
      this.#stop(reason, message);
      return true;
    }
    this.#probe = true;
    await this.#rest(this.#backoff.failed(answer.least), answer.least, code, message);
    return false;
  }

  async #rest(delay: number, least: number, code: string, message: string): Promise<void> {
    this.#say({ name: "waiting", until: Math.round(Date.now() + delay), code, message });
    await this.#backoff.pause(delay, least);
  }

  #stop(reason: StopReason, message: string): void {
    this.#say({ name: "stopped", reason, message });
  }

  #say(state: State): void {
    if (state.name !== this.#state) this.#room.onState?.(state);
    this.#state = state.name;
  }
}
