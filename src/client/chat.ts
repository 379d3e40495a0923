/** The chat's client, the same for browsers and Node: long polls of a room, and posts to it. */
import type { Message } from "../store/store.js";
import type { PollOptions, Position, RoomOptions } from "./options.js";
import { type Decode, poll } from "./poll.js";
import { fieldsOf, roomUrl } from "./request.js";
import { Sender, type SendOptions } from "./send.js";

export type { Message };

/** How many ids are remembered, so that a message that comes again after a gap is returned once. */
const MAX_SEEN = 5000;

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
   */
  readonly batches: AsyncGenerator<Batch, void>;
  /**
   * Posts a message and returns its id. A lost reply, a 429 and a 5xx are retried with the same idempotency key; posts
   * go one after the other. Rejects with a `SendError`, or with the reason of the signal.
   */
  send(text: string, options?: SendOptions): Promise<string>;
}

/**
 * Returns the batches of a room and a function that posts to it. The user must have logged in.
 * @throws RangeError if `wait` or `timeoutSlack` is out of range
 */
export function longPoll(options: LongPollOptions): LongPoll {
  const { base, user, onState } = options;
  const sender = new Sender(options);
  const settings: PollOptions = {
    ...options,
    onState: (state) => {
      if (state.name === "live") sender.retry();
      onState?.(state);
    },
  };
  return {
    batches: poll(roomUrl(base, `get_post/${encodeURIComponent(user)}`), settings, decoder()),
    send: (text, sendOptions) => sender.send(text, sendOptions),
  };
}

/** Returns a decoder of the chat's replies that passes each message once. */
function decoder(): Decode<Omit<Batch, keyof Position>> {
  const seen = new Set<string>();
  return ({ present, messages }, since, gap) => {
    if (typeof present !== "number" || !Array.isArray(messages) || !messages.every(isMessage))
      return undefined;
    const fresh = messages.filter(({ id }) => {
      // After a gap, a message with an id before the cursor may be old, or new and of another history.
      if (seen.has(id) || (!gap && isSeen(id, since))) return false;
      if (seen.size >= MAX_SEEN) seen.clear();
      seen.add(id);
      return true;
    });
    return { present, messages: fresh.filter(isKnown) };
  };
}

/** A message of any kind; a later version may have kinds that this one does not know. */
type AnyMessage = Omit<Message, "kind"> & { readonly kind?: string };

/** Whether a value is a message of any kind. */
export function isMessage(value: unknown): value is AnyMessage {
  const { id, user, text, at, kind = "" } = fieldsOf(value);
  const isText = [user, text, kind].every((field) => typeof field === "string");
  return isText && typeof at === "number" && typeof id === "string" && /^\d+-\d+$/.test(id);
}

/** Whether this version of the client knows the kind of a message. */
export function isKnown(message: AnyMessage): message is Message {
  return [undefined, "join", "leave"].includes(message.kind);
}

/** Whether an id is not after a cursor, compared as two integers. False if the cursor is not an id, such as `now`. */
export function isSeen(id: string, cursor: string): boolean {
  const [ms = Number.NaN, n = Number.NaN] = id.split("-").map(Number);
  const [cursorMs = Number.NaN, cursorN = Number.NaN] = cursor.split("-").map(Number);
  return ms < cursorMs || (ms === cursorMs && n <= cursorN);
}
