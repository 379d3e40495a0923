/** The entry of the package `holdline/client`: `follow` for any feed, `longPoll` for the chat. */
export type { Batch, LongPoll, LongPollOptions, Message } from "./chat.js";
export { longPoll, SendError } from "./chat.js";
export type { FeedBatch, PollOptions, Position, State, StopReason } from "./poll.js";
export { follow } from "./poll.js";
export type { RequestOptions, RoomOptions } from "./request.js";
