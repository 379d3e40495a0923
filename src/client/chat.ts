/** The chat's client, the same for browsers and Node: long polls of a room, and posts to it, each kept once. */
import type { Message } from "../store/store.js";
import { Backoff } from "./backoff.js";
import { type Decode, type PollOptions, type Position, poll, type State } from "./poll.js";
import { fieldsOf, type Init, type RoomOptions, randomId, roomUrl } from "./request.js";

export type { Message };

/** Compares the numbers in two texts, instead of their digits. */
const byNumbers = new Intl.Collator("en", { numeric: true });
/** How many ids are remembered, so that a message that comes again after a gap is returned once. */
const MAX_SEEN = 5000;
/** What a notice says; absent for what a user wrote. A later version may have kinds that this one does not know. */
const KINDS: readonly unknown[] = [undefined, "join", "leave"];
/** How long one attempt to post may take. */
const POST_TIMEOUT_MS = 15_000;
/** Time from the call of `send` after which a failed attempt is not repeated. */
const POST_LIMIT_MS = 60_000;
/** A body below this size is sent even if the page closes; browsers allow 64 KiB for all such requests. */
const KEEPALIVE_BYTES = 32_768;

/** One reply of the room. */
export interface Batch extends Position {
  /** How many people are here. */
  readonly present: number;
  /** The new messages in order, each once. Often there are none. */
  readonly messages: readonly Message[];
}

/** Options of `longPoll`: the room, and how to poll it. */
export interface LongPollOptions extends RoomOptions, PollOptions {}

/** What `longPoll` returns. */
export interface LongPoll {
  /**
   * The batches, for one loop. Polling begins with its first step. An unreachable room is retried without end. The loop
   * ends without an error when polling ends; `onState` receives the reason. Abort the signal to end it from outside.
   * The first step throws a `RangeError` if `wait` is out of range.
   */
  readonly batches: AsyncGenerator<Batch, void>;
  /**
   * Posts a message and returns its id. A lost reply, a 429 and a 5xx are retried for a minute with the same idempotency
   * key; posts go one after the other. Rejects with a `SendError`, or with the reason of the signal.
   * @param key the idempotency key, random by default. To send a failed message again, pass the key of its first time
   */
  send(text: string, key?: string): Promise<string>;
}

/** Returns the batches of a room and a function that posts to it. The user must have logged in. */
export function longPoll(options: LongPollOptions): LongPoll {
  const sender = new Sender(options);
  const onState = (state: State) => {
    if (state.name === "live") sender.retry();
    options.onState?.(state);
  };
  return {
    batches: poll(roomUrl(options, "get_post"), { ...options, onState }, decoder()),
    send: (text, key) => sender.send(text, key),
  };
}

/** Returns a decoder of the chat's replies that passes each message once. */
function decoder(): Decode<Omit<Batch, keyof Position>> {
  const seen = new Set<string>();
  return ({ present, ...fields }, since, gap) => {
    const messages = toMessages(fields.messages)?.filter(({ id }) => {
      // After a gap, a message with an id before the cursor may be old, or new and of another history.
      if (seen.has(id) || (!gap && isSeen(id, since))) return false;
      if (seen.size >= MAX_SEEN) seen.clear();
      return seen.add(id);
    });
    return messages && typeof present === "number" ? { present, messages } : undefined;
  };
}

/** Returns the messages of a reply whose kind this version knows. Undefined if one of them is malformed. */
export function toMessages(list: unknown): readonly Message[] | undefined {
  if (!Array.isArray(list)) return undefined;
  const known: unknown[] = list.filter((item) => KINDS.includes(fieldsOf(item).kind));
  return known.every(isMessage) ? known : undefined;
}

function isMessage(value: unknown): value is Message {
  const { id, user, text, at } = fieldsOf(value);
  const isText = typeof user === "string" && typeof text === "string" && typeof id === "string";
  return isText && typeof at === "number" && /^\d+-\d+$/.test(id);
}

/** Whether an id is not after a cursor, compared as two integers. False if the cursor is not an id, such as `now`. */
export function isSeen(id: string, cursor: string): boolean {
  return /^\d/.test(cursor) && byNumbers.compare(id, cursor) <= 0;
}

/** The error of a failed send. After a lost reply, the message may have been kept: see `retryable`. */
export class SendError extends Error {
  override readonly name = "SendError";

  /** @param message the server's message, or what happened to the request */
  constructor(
    /** The protocol's code, or `unreachable` (no reply), or `bad_answer` (a reply that is not the protocol's). */
    readonly code: string,
    message: string,
    /** Whether the same message, sent later with the same key, may succeed. It may even have been kept already. */
    readonly retryable: boolean,
  ) {
    super(message);
  }
}

/**
 * Posts the messages of one room, one after the other, so that they are kept in the order of the calls. The idempotency
 * key is made before the first attempt and stays the same, so an attempt without a reply may be repeated: the server
 * answers with the id of the first.
 */
export class Sender {
  #last: Promise<unknown> = Promise.resolve();
  #backoff: Backoff | undefined;

  constructor(private readonly room: RoomOptions) {}

  /** Posts a message and returns its id. Rejects with a `SendError`, or with the reason of the signal. */
  send(message: string, key = randomId()): Promise<string> {
    const body = new URLSearchParams({ message }).toString();
    const headers = { "content-type": "application/x-www-form-urlencoded", "idempotency-key": key };
    const post = { method: "POST", body, headers, keepalive: body.length < KEEPALIVE_BYTES };
    const endsAt = performance.now() + POST_LIMIT_MS;
    const sent = this.#last.then(() => this.#post(post, endsAt));
    // The caller receives the error. The next send waits for the end only.
    this.#last = sent.catch(() => undefined);
    return sent;
  }

  /** Tries again at once, because the poll is live: the server can be reached. */
  retry(): void {
    this.#backoff?.wake();
  }

  async #post(post: Init, endsAt: number): Promise<string> {
    const backoff = new Backoff(this.room);
    this.#backoff = backoff;
    try {
      while (!backoff.stopped) {
        const result = await backoff.request(roomUrl(this.room, "put_post"), post, POST_TIMEOUT_MS);
        if (backoff.stopped) break;
        const { status, code, message, final, minDelay, isCut } = result;
        const { id } = fieldsOf(result.body);
        if (status === 200 && typeof id === "string") return id;
        const delay = isCut ? 0 : backoff.failed(minDelay);
        if (final || performance.now() + delay > endsAt) throw new SendError(code, message, !final);
        // A wake-up shows that the outage of a 503 may be over. It does not change the rate limit of a 429.
        await backoff.pause(delay, status === 429 ? minDelay : 0);
      }
      throw this.room.signal?.reason;
    } finally {
      backoff.stop();
    }
  }
}
