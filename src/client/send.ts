/**
 * Posts messages, each kept once. The idempotency key is made before the first attempt and stays the same, so an attempt
 * without a reply may be repeated: the server answers with the id of the first.
 */
import { Backoff } from "./backoff.js";
import type { RoomOptions } from "./options.js";
import { fieldsOf, type Init, randomId, roomUrl } from "./request.js";

const TIMEOUT_MS = 15_000;
/** A body below this size is sent even if the page closes; browsers allow 64 KiB for all such requests. */
const KEEPALIVE_BYTES = 32_768;

/** Options of `send`. */
export interface SendOptions {
  /** The idempotency key, random by default. To send a failed message again, pass the key of its first time. */
  readonly key?: string;
  /** Time from the call after which no attempt begins, in seconds, default 60. */
  readonly limit?: number;
  /** Ends this send, instead of the room's signal. */
  readonly signal?: AbortSignal;
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

/** Posts the messages of one room, one after the other, so that they are kept in the order of the calls. */
export class Sender {
  #last: Promise<unknown> = Promise.resolve();
  #backoff: Backoff | undefined;

  constructor(private readonly room: RoomOptions) {}

  /** Posts a message and returns its id. Rejects with a `SendError`, or with the reason of the signal. */
  send(message: string, options: SendOptions = {}): Promise<string> {
    const { key = randomId(), limit = 60, signal = this.room.signal } = options;
    const body = new URLSearchParams({ message }).toString();
    const headers = { "content-type": "application/x-www-form-urlencoded", "idempotency-key": key };
    const post = { method: "POST", body, headers, keepalive: body.length < KEEPALIVE_BYTES };
    const endsAt = performance.now() + limit * 1000;
    const sent = this.#last.then(() => this.#post(post, endsAt, signal));
    // The caller receives the error. The next send waits for the end only.
    this.#last = sent.catch(() => undefined);
    return sent;
  }

  /** Tries again at once, because the poll is live: the server can be reached. */
  retry(): void {
    this.#backoff?.wake();
  }

  async #post(post: Init, endsAt: number, signal: AbortSignal | undefined): Promise<string> {
    const { base, user } = this.room;
    const url = roomUrl(base, `put_post/${encodeURIComponent(user)}`);
    const backoff = new Backoff({ ...this.room, ...(signal && { signal }) });
    this.#backoff = backoff;
    try {
      while (!backoff.stopped) {
        const result = await backoff.request(url, post, TIMEOUT_MS);
        if (backoff.stopped) break;
        const { status, code, message, final, minDelay, isCut } = result;
        const { id } = fieldsOf(result.body);
        if (status === 200 && typeof id === "string") return id;
        const delay = isCut ? 0 : backoff.failed(minDelay);
        if (final || performance.now() + delay > endsAt) throw new SendError(code, message, !final);
        // A wake-up shows that the outage of a 503 may be over. It does not change the rate limit of a 429.
        await backoff.pause(delay, status === 429 ? minDelay : 0);
      }
      // The reason is missing in Chrome before version 98.
      throw signal?.reason ?? new DOMException("aborted", "AbortError");
    } finally {
      backoff.stop();
    }
  }
}
