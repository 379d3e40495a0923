/** The entry of the package `holdline/client`: `follow` for any feed, `longPoll` for the chat. */
import type { PollOptions, Position } from "./options.js";
import { poll } from "./poll.js";

export { type Batch, type LongPoll, type LongPollOptions, longPoll, type Message } from "./chat.js";
export type { PollOptions, Position, RequestOptions, RoomOptions, State, StopReason } from "./options.js";
export { SendError, type SendOptions } from "./send.js";

/** One reply of a feed. */
export interface FeedBatch extends Position {
  /** The events as they were pushed, in order. Often there are none. */
  readonly events: readonly unknown[];
}

/**
 * Returns the batches of the feed at `url`, for one loop. Polling begins with the first step. An unreachable server is
 * retried without end. The loop ends without an error when polling ends; `onState` receives the reason. Abort the
 * signal to end it from outside.
 * @throws RangeError if `wait` or `timeoutSlack` is out of range
 */
export function follow(url: string | URL, options: PollOptions = {}): AsyncGenerator<FeedBatch, void> {
  return poll(String(url), options, ({ events }) => (Array.isArray(events) ? { events } : undefined));
}
