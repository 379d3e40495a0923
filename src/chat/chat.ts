/** `createChat`: a chat room to mount in a server. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { type Batch, type FollowOptions, isCursor } from "../feed/index.js";
import { throttledLog } from "../http/log.js";
import type { Message } from "../store/store.js";
import { type ChatOptions, parseOptions } from "./options.js";
import { type HostMessage, hostPost } from "./post.js";
import { Room } from "./room.js";
import { createRouter } from "./routes.js";

/** A chat room to mount in a server. Its functions do not use `this`. */
export interface Chat {
  /**
   * Answers a request exactly once. It is a listener for `http.createServer`, and a middleware for Express and others.
   * @param next called instead if the chat has no such path. Without it, that is a 404
   */
  readonly handler: (req: IncomingMessage, res: ServerResponse, next?: () => void) => void;
  /**
   * Posts a message. Resolves with the message once it is kept. Rejects with a `RangeError` that names the field and the
   * rule, with a `TypeError` that names a field that is not a text, with `StoreUnavailable`, or with an `Error` once the
   * chat is closed.
   */
  readonly post: (message: HostMessage) => Promise<Message>;
  /**
   * Follows the room: returns an async iterator of batches in order, for one loop. A batch has messages as its `events`, or
   * reports a gap. It ends after `break`, when its `signal` is aborted, or after `close()` when everything is read.
   * Throws a `RangeError` if `since` is not a cursor.
   */
  readonly follow: (options?: FollowOptions) => AsyncIterableIterator<Batch<Message>>;
  /** The names of the present members, in order. */
  readonly present: readonly string[];
  /** How many polls are held. Followers are not counted. */
  readonly waiting: number;
  /** Answers every held poll and rejects new messages. Resolves when the store is closed. */
  readonly close: () => Promise<void>;
}

/**
 * Opens a chat room. Several in one process are independent. Rejects with an error that names a wrong option, and with an
 * error if the store cannot be opened.
 */
export async function createChat(options: ChatOptions = {}): Promise<Chat> {
  const resolved = parseOptions(options);
  const log = throttledLog(resolved.log);
  const onError = (error: unknown) => log("a handler failed", error);
  const room = new Room(resolved, onError);
  await room.open();
  const router = createRouter(room, onError);
  let closing: Promise<void> | undefined;
  return {
    handler: (req, res, next) => router.handle(req, res, next),
    post: (message) => hostPost(room, message),
    follow(options = {}) {
      const { since = "now" } = options;
      if (since !== "now" && !isCursor(since)) throw new RangeError('since is a cursor, "0" or "now"');
      return room.feed.follow(options);
    },
    get present() {
      return [...room.members.names];
    },
    get waiting() {
      return room.feed.waiting;
    },
    close: () => (closing ??= room.close()),
  };
}
