/**
 * The chat: the protocol's table of routes, wired to a room. A handler reads what was asked, asks the room, and gives
 * a reply back; who may call, and what is refused with which code, is all here.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import { Doors } from "./doors.js";
import { HostSessions } from "./hosted.js";
import { html, json, type Outcome, type Refusal, type Reply, refuse } from "./http/reply.js";
import type { Request } from "./http/request.js";
import { type Handler, Router } from "./http/router.js";
import { seldom } from "./http/seldom.js";
import { readStatic } from "./http/static.js";
import { Metrics } from "./metrics.js";
import { type ChatOptions, type Settled, settle } from "./options.js";
import { Pages, STATIC } from "./pages.js";
import { BAD_CLIENT, isClient, longPoll } from "./poll.js";
import { type HostDraft, hostPost, putPost } from "./post.js";
import { unavailable } from "./replies.js";
import { isCursor } from "./room/backlog.js";
import { Follower, type News } from "./room/follow.js";
import { Room } from "./room/room.js";
import { Sessions } from "./sessions.js";
import type { Message } from "./store/store.js";

/** A chat room to mount in a server. Its functions need no `this`. */
export interface Chat {
  /**
   * Answers a request, exactly once. A listener for `http.createServer`, and a middleware as it is for Express.
   * @param next is called instead when the chat has no such path; without it that is a 404
   */
  readonly handler: (req: IncomingMessage, res: ServerResponse, next?: () => void) => void;
  /**
   * Says something in the room. Resolves with the message once it is kept. Rejects with a `RangeError` that says which
   * rule the name, the text or the key breaks, with `StoreUnavailable`, or with an `Error` once the chat is closed.
   */
  readonly post: (draft: HostDraft) => Promise<Message>;
  /**
   * Listens: the batches of the long poll, in order, none of them empty but after a gap, for one loop. It ends with its
   * signal, its `return()` or `close()`, quietly; then also what was kept last has been handed out, if it is asked for.
   * Throws a `RangeError` if `since` is no cursor.
   */
  readonly follow: (options?: FollowOptions) => AsyncIterableIterator<News>;
  /** The names of who is here, in order. */
  readonly present: readonly string[];
  /** How many polls are held. Followers are none. */
  readonly waiting: number;
  /** Answers every held poll and refuses what comes; resolves when the store is closed. */
  readonly close: () => Promise<void>;
}

/** What `follow` takes. */
export interface FollowOptions {
  /** Whence: a cursor, `"0"` for all that is kept, or `"now"` (the default) for what comes after the call. */
  readonly since?: string;
  /** Ends it. */
  readonly signal?: AbortSignal;
}

/** The compiled browser code, found from `dist/` and from `src/` alike. */
const CLIENT = new URL("../dist/client/", import.meta.url);
/** How many names `/who` tells at the most. */
const NAMES_TOLD = 1000;

/**
 * Opens a chat room. Several in one process know nothing of each other. Rejects when its store cannot be opened, and
 * with an error that names the option when one is wrong.
 */
export async function createChat(options: ChatOptions = {}): Promise<Chat> {
  const settled = settle(options);
  const room = await Room.open(settled);
  const { router, metrics } = new Routes(room, settled);
  let closing: Promise<void> | undefined;
  return {
    handler: (req, res, next) => router.handle(req, res, next),
    post: (draft) => hostPost(room, draft),
    follow({ since = "now", signal } = {}) {
      if (since !== "now" && !isCursor(since)) throw new RangeError('since is a cursor, "0" or "now"');
      return new Follower(room.followers, since === "now" ? room.newest(0).cursor : since, signal);
    },
    get present() {
      return room.people.who();
    },
    get waiting() {
      return room.waiting;
    },
    close() {
      metrics?.stop();
      closing ??= room.close();
      return closing;
    },
  };
}

const FOREIGN = refuse(403, "foreign_origin", "This came from another site.");

/** Refuses what a page of another site made a browser send, cookie and all. */
function fromHere(handler: Handler): Handler {
  return (request) => (request.isForeign() ? FOREIGN : handler(request));
}

class Routes {
  readonly router: Router;
  readonly metrics: Metrics | undefined;
  readonly #room: Room;
  readonly #sessions: Sessions;
  readonly #pages: Pages;

  constructor(room: Room, options: Settled) {
    this.#room = room;
    const { identify, secrets, log, path: mount } = options;
    const host = identify && new HostSessions(room, secrets(), identify);
    this.#sessions = host ?? new Sessions(room, secrets());
    this.#pages = new Pages(host !== undefined);
    this.metrics = options.metrics ? new Metrics(room) : undefined;
    const tell = seldom(log);
    this.router = new Router({
      bodyLimit: options.bodyLimit,
      trustProxy: options.trustProxy,
      mount,
      closing: () => room.draining,
      refused: (request, refusal) => this.#refused(request, refusal),
      failed: (error) => tell("a handler failed", error instanceof Error ? `${error.stack}` : String(error)),
      sent: (bytes) => this.metrics?.sent(bytes),
    });
    const doors = new Doors(room, this.#sessions, this.#pages, options.loginRate);
    if (!host) this.#ownDoors(doors);
    this.#rooms(doors, options, host ? (handler) => host.admit(handler) : (handler) => handler);
    this.#open();
  }

  #get(pattern: string, handler: Handler): void {
    this.router.on("GET", pattern, handler);
  }

  #post(pattern: string, handler: Handler): void {
    this.router.on("POST", pattern, fromHere(handler));
  }

  /** Our own log-in. */
  #ownDoors(doors: Doors): void {
    this.#get("/login", (request) => doors.loginForm(request));
    this.#post("/login", (request) => doors.login(request));
    this.#post("/logout", (request) => doors.logout(request));
  }

  /** What is about a person. @param known lets in those only whom the host knows, if there is a host that knows */
  #rooms(doors: Doors, { postRate }: Settled, known: (handler: Handler) => Handler): void {
    const get = (pattern: string, handler: Handler) => this.#get(pattern, known(handler));
    const poll = known(longPoll(this.#room, this.#sessions));
    const post = known(putPost(this.#room, this.#sessions, postRate));
    const leave = known((request) => this.#leave(request));
    get("/", (request) => doors.home(request));
    this.#get("/chatroom/:user", (request) => doors.chatroomSlash(request));
    get("/chatroom/:user/", (request) => doors.chatroom(request));
    this.#post("/put_post/:user", this.metrics?.posts(post) ?? post);
    this.#get("/get_post/:user", fromHere(poll));
    this.#post("/get_post/:user", poll);
    get("/who", (request) => this.#who(request));
    this.#post("/leave/:user", leave);
  }

  /** What is for everybody. */
  #open(): void {
    const { metrics } = this;
    this.#get("/healthz", () => this.#health());
    if (metrics) this.#get("/metrics", () => metrics.page());
    for (const { path, serve } of readStatic(fileURLToPath(STATIC))) {
      // The pages are templates, of no use to anybody as they are.
      if (!path.endsWith(".html")) this.#get(`/${path}`, serve);
    }
    for (const { path, serve } of readStatic(fileURLToPath(CLIENT))) this.#get(`/client/${path}`, serve);
  }

  #who(request: Request): Outcome {
    const users = this.#room.people.who(NAMES_TOLD);
    return json(200, { count: this.#room.people.count, users }, this.#sessions.renew(request));
  }

  async #leave(request: Request): Promise<Outcome> {
    const session = this.#sessions.caller(request);
    if ("code" in session) return session;
    const client = request.query()?.get("client");
    if (client !== undefined && !isClient(client)) return BAD_CLIENT;
    // A page that goes is mostly one that is loaded again: its name must not be free in between.
    if (client === undefined) this.#room.people.names.release(session);
    else this.#room.people.names.hold(session);
    await this.#room.leave(session.name, client);
    return { status: 204, headers: { "Cache-Control": "no-store" } };
  }

  #health(): Outcome {
    if (this.#room.draining) return unavailable("draining", "The server is stopping.");
    if (!this.#room.writable) return unavailable("store_unavailable", "Messages cannot be kept now.");
    const headers = { "Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store" };
    return { status: 200, headers, body: "ok" };
  }

  #refused(request: Request, refusal: Refusal): Reply {
    const { status, code, message, headers } = refusal;
    if (!request.prefersHtml()) return json(status, { error: { code, message } }, headers);
    const page = this.#pages.error(request.req.headers["accept-language"], refusal, request.base);
    return html(status, page, headers);
  }
}
