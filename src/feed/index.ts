/** The entry `holdline/feed`: long polling for events of any kind. */
export type { Batch, FollowOptions, Snapshot, StoredEvent } from "./batch.js";
export { Feed, type FeedOptions } from "./feed.js";
export { longPollHandler, type PollQuery, parsePoll, sendJson } from "./handler.js";
export { type Cursor, compareIds, type Id, isCursor, isId } from "./id.js";
export { type FinishReason, type Slot, Waiter } from "./waiters.js";
