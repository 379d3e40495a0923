/** The chat: the protocol's routes on a room. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import { type Batch, isCursor } from "../feed/index.js";
import { type Handler, Router } from "../http/router.js";
import { readStatic } from "../http/static.js";
import { throttledLog } from "../http/throttled-log.js";
import type { Message } from "../store/store.js";
import { type Auth, withMember, withPage, withSession } from "./auth.js";
import { HostAuth } from "./host-auth.js";
import { Login, roomPage } from "./login.js";
import { Metrics } from "./metrics.js";
import { type ChatOptions, parseOptions, type ResolvedOptions } from "./options.js";
import { Pages, STATIC } from "./pages.js";
import { longPoll } from "./poll.js";
import { type HostMessage, hostPost, putPost } from "./post.js";
import { Room } from "./room.js";
import { chatroomSlash, health, history, home, refuseForeign, unload, who } from "./routes.js";
import { Sessions } from "./sessions.js";

/** A chat room to mount in a server. Its functions do not use `this`. */
export interface Chat {
  /**
   * Answers a request exactly once. It is a listener for `http.createServer`, and a middleware for Express and others.
   * @param next called instead if the chat has no such path; without it, that is a 404
   */
  readonly handler: (req: IncomingMessage, res: ServerResponse, next?: () => void) => void;
  /**
   * Posts a message. Resolves with the message once it is kept. Rejects with a `RangeError` that names the field and the
   * rule, with a `TypeError` that names a field that is not a text, with `StoreUnavailable`, or with an `Error` once the
   * chat is closed.
   */
  readonly post: (message: HostMessage) => Promise<Message>;
  /**
   * Follows the room: an async iterator of batches in order, for one loop. A batch has messages, or tells of a gap. It
   * ends after its signal, its `return()`, or, when everything is read, `close()`.
   * Throws a `RangeError` if `since` is not a cursor.
   */
  readonly follow: (options?: FollowOptions) => AsyncIterableIterator<ChatBatch>;
  /** The names of the present members, in order. */
  readonly present: readonly string[];
  /** How many polls are held. Followers are not counted. */
  readonly waiting: number;
  /** Answers every held poll and refuses new messages. Resolves when the store is closed. */
  readonly close: () => Promise<void>;
}

/** What `follow` yields. */
export interface ChatBatch {
  /** The cursor after these messages. */
  readonly cursor: string;
  /** How many members are present. */
  readonly present: number;
  /** The messages in order. */
  readonly messages: readonly Message[];
  /** Messages before these may be missing. */
  readonly gap?: true;
}

/** Options of `follow`. */
export interface FollowOptions {
  /** A cursor, `"0"` for everything that is kept, or `"now"` (the default) for what comes after the call. */
  readonly since?: string;
  /** Ends the iteration when it is aborted. */
  readonly signal?: AbortSignal;
}

/** The compiled browser code, found from `dist/chat/` and from `src/chat/` alike. */
const CLIENT = new URL("../../dist/client/", import.meta.url);

/**
 * Opens a chat room. Several in one process are independent. Rejects with an error that names the option if an option is
 * wrong, and if the store cannot be opened.
 */
export async function createChat(options: ChatOptions = {}): Promise<Chat> {
  const resolved = parseOptions(options);
  const log = throttledLog(resolved.log);
  const onError = (error: unknown) => log("a handler failed", error);
  const room = await Room.open(resolved, onError);
  const metrics = resolved.metrics ? new Metrics(room) : undefined;
  const router = createRouter(room, resolved, metrics, onError);
  let closing: Promise<void> | undefined;
  return {
    handler: (req, res, next) => router.handle(req, res, next),
    post: (message) => hostPost(room, message),
    follow: (options) => follow(room, options),
    get present() {
      return [...room.members.presence.names];
    },
    get waiting() {
      return room.feed.waiting;
    },
    close() {
      metrics?.stop();
      closing ??= room.close();
      return closing;
    },
  };
}

function createRouter(
  room: Room,
  options: ResolvedOptions,
  metrics: Metrics | undefined,
  onError: (error: unknown) => void,
): Router {
  const { identify, bodyLimit, trustProxy, title, path: mount } = options;
  const pages = new Pages(title, identify !== undefined);
  const router = new Router({
    bodyLimit,
    trustProxy,
    mount,
    numberFields: ["since", "wait"],
    closing: () => room.draining,
    toResponse: (request, error) => pages.errorResponse(request, error),
    onError,
    onSent: (bytes) => metrics?.sent(bytes),
  });
  if (identify) {
    addRoutes(router, room, options, pages, new HostAuth(room.members, identify), metrics);
  } else {
    const sessions = new Sessions(room.members, options.secrets);
    addRoutes(router, room, options, pages, sessions, metrics);
    const login = new Login(room, sessions, pages, options.loginRate);
    router.on(
      "GET",
      "/login",
      withSession(sessions, (request, session) => login.form(request, session)),
    );
    router.on(
      "POST",
      "/login",
      refuseForeign((request) => login.login(request)),
    );
    const logout = withSession(sessions, (request, session) => login.logout(request, session));
    router.on("POST", "/logout", refuseForeign(logout));
  }
  return router;
}

function addRoutes(
  router: Router,
  room: Room,
  { postRate }: ResolvedOptions,
  pages: Pages,
  auth: Auth,
  metrics: Metrics | undefined,
): void {
  const get = (pattern: string, handler: Handler) => router.on("GET", pattern, handler);
  const poll = refuseForeign(longPoll(room, auth));
  const post = putPost(room, auth, postRate);
  get("/", home(auth));
  get("/chatroom/:user", chatroomSlash);
  const page = withPage(auth, "../../", (request, session) => roomPage(room, pages, request, session));
  get("/chatroom/:user/", page);
  router.on("POST", "/put_post/:user", refuseForeign(metrics?.countPosts(post) ?? post));
  get("/get_post/:user", poll);
  router.on("POST", "/get_post/:user", poll);
  get(
    "/who",
    withSession(auth, (request, session) => who(room, auth, request, session)),
  );
  get(
    "/history/:user",
    withMember(auth, (request) => history(room, request)),
  );
  router.on(
    "POST",
    "/leave/:user",
    refuseForeign(withMember(auth, (request, session) => unload(room, request, session))),
  );
  get("/healthz", () => health(room));
  if (metrics) get("/metrics", () => metrics.page());
  for (const { path, serve } of readStatic(fileURLToPath(STATIC))) {
    // The pages are templates, of no use as they are.
    if (!path.endsWith(".html")) get(`/${path}`, serve);
  }
  for (const { path, serve } of readStatic(fileURLToPath(CLIENT))) get(`/client/${path}`, serve);
}

function follow(
  { feed, members }: Room,
  { since = "now", signal }: FollowOptions = {},
): AsyncIterableIterator<ChatBatch> {
  if (since !== "now" && !isCursor(since)) throw new RangeError('since is a cursor, "0" or "now"');
  const batches = feed.follow({ since, ...(signal && { signal }) });
  const toResult = ({
    done,
    value,
  }: IteratorResult<Batch<Message>, undefined>): IteratorResult<ChatBatch> => {
    if (done) return { done, value: undefined };
    const { cursor, events, gap } = value;
    const present = members.presence.names.length;
    return { done: false, value: { cursor, present, messages: events, ...(gap && { gap }) } };
  };
  return {
    next: async () => toResult(await batches.next()),
    return: async () => toResult((await batches.return?.()) ?? { done: true, value: undefined }),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
