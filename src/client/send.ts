/**
 * Posting a message so that it is kept once. The idempotency key is made before the first try and stays the same, so a
 * try whose answer got lost may be repeated: the server answers with the id of the first.
 */
import { Backoff } from "./backoff.js";
import { type Answer, type Init, isObject, type RoomOptions, randomId, refusal, request } from "./request.js";

const LOST: Answer = { status: 0, body: undefined, least: 0, message: "no answer in time" };
/** How long one try may take (ms) before it counts as lost. */
const TRY = 15_000;
/** A body below this many bytes is sent even if the page closes; browsers allow 64 KiB for all such requests. */
const KEEPALIVE = 32_768;

/** What `send` takes besides the text. */
export interface SendOptions {
  /** The idempotency key. Random by default. To send a failed message again, pass the key of its first time. */
  readonly key?: string;
  /** Seconds from the call after which no further try is begun, 60 by default. */
  readonly limit?: number;
  /** Ends this send, instead of the room's signal. */
  readonly signal?: AbortSignal;
}

/** A message that was not kept; with the codes `unreachable`, `bad_answer` or one of a 5xx, not as far as we know. */
export class SendError extends Error {
  override readonly name = "SendError";
  /** The protocol's code, or `unreachable` (no answer), or `bad_answer` (not the protocol's). */
  readonly code: string;

  /** @param message what the server said, or what became of the request */
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Returns a `send` for the room. Sends go one after the other, so that they are kept in the order they were called. */
export function sender(room: RoomOptions): (text: string, options?: SendOptions) => Promise<string> {
  let last: Promise<unknown> = Promise.resolve();
  return (message, { key = randomId(), limit = 60, signal = room.signal } = {}) => {
    const body = new URLSearchParams({ message }).toString();
    const headers = { "content-type": "application/x-www-form-urlencoded", "idempotency-key": key };
    const post = { method: "POST", body, headers, keepalive: body.length < KEEPALIVE };
    const giveUp = performance.now() + limit * 1000;
    const sent = last.then(() => send(room, post, giveUp, signal));
    // Whoever called hears of a failure; to the next one it is only the end of the wait.
    last = sent.catch(() => undefined);
    return sent;
  };
}

async function send(room: RoomOptions, post: Init, giveUp: number, signal?: AbortSignal): Promise<string> {
  const path = `put_post/${encodeURIComponent(room.user)}`;
  const backoff = new Backoff(signal, room.events);
  try {
    for (;;) {
      signal?.throwIfAborted();
      const answer =
        (await backoff.attempt(TRY, (cut) => request(room, path, { ...post, signal: cut }))) ?? LOST;
      const id = answer.status === 200 && isObject<{ id: string }>(answer.body) ? answer.body.id : undefined;
      if (typeof id === "string") return id;
      signal?.throwIfAborted();
      const { code, message, final } = refusal(answer);
      const delay = backoff.failed(answer.least);
      if (final || performance.now() + delay > giveUp) throw new SendError(code, message);
      await backoff.pause(delay, answer.least);
    }
  } finally {
    backoff.stop();
  }
}
