/**
 * The chat: the protocol's table of routes, wired to a room. A handler reads what was asked, asks the room, and gives
 * a reply back; who may call, and what is refused with which code, is all here.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import { Doors } from "./doors.js";
import { seldom } from "./http/limits.js";
import { html, json, type Outcome, type Refusal, type Reply, refuse } from "./http/reply.js";
import type { Request } from "./http/request.js";
import { type Handler, Router } from "./http/router.js";
import { readStatic } from "./http/static.js";
import { type ChatOptions, type Settled, settle } from "./options.js";
import { Pages, STATIC } from "./pages.js";
import { longPoll } from "./poll.js";
import { putPost } from "./post.js";
import { unavailable } from "./replies.js";
import { Room } from "./room/room.js";
import { Sessions } from "./sessions.js";

/** A chat room to mount in a server. */
export interface Chat {
  /** Answers a request, whatever it is, exactly once. */
  handler(req: IncomingMessage, res: ServerResponse): void;
  /** How many polls are held. */
  readonly waiting: number;
  /** Answers every held poll and refuses what comes; resolves when the store is closed. */
  close(): Promise<void>;
}

/** The compiled browser code, found from `dist/` and from `src/` alike. */
const CLIENT = new URL("../dist/client/", import.meta.url);
/** How many names `/who` tells at the most. */
const NAMES_TOLD = 1000;

/** Opens a chat room. Rejects when its store cannot be opened. */
export async function createChat(options: ChatOptions = {}): Promise<Chat> {
  const settled = settle(options);
  const room = await Room.open(settled);
  const { router } = new Routes(room, settled);
  return {
    handler: (req, res) => router.handle(req, res),
    get waiting() {
      return room.waiting;
    },
    close: () => room.close(),
  };
}

const FOREIGN = refuse(403, "foreign_origin", "This came from another site.");

class Routes {
  readonly router: Router;
  readonly #room: Room;
  readonly #sessions: Sessions;
  readonly #pages = new Pages();

  constructor(room: Room, options: Settled) {
    this.#room = room;
    this.#sessions = new Sessions(room, options.secrets());
    const tell = seldom(options.log);
    this.router = new Router({
      bodyLimit: options.bodyLimit,
      trustProxy: options.trustProxy,
      closing: () => room.draining,
      refused: (request, refusal) => this.#refused(request, refusal),
      failed: (error) => tell("a handler failed", error instanceof Error ? `${error.stack}` : String(error)),
    });
    const get = (pattern: string, handler: Handler) => this.router.on("GET", pattern, handler);
    // A page elsewhere may make a browser send a POST, cookie and all; it gets no further than this.
    const post = (pattern: string, handler: Handler) =>
      this.router.on("POST", pattern, (request) => (request.isForeign() ? FOREIGN : handler(request)));
    const doors = new Doors(room, this.#sessions, this.#pages, options.loginRate);
    const poll = longPoll(room, this.#sessions);
    get("/", (request) => doors.home(request));
    get("/login", (request) => doors.loginForm(request));
    post("/login", (request) => doors.login(request));
    post("/logout", (request) => doors.logout(request));
    get("/chatroom/:user", (request) => doors.chatroomSlash(request));
    get("/chatroom/:user/", (request) => doors.chatroom(request));
    post("/put_post/:user", putPost(room, this.#sessions, options.postRate));
    get("/get_post/:user", poll);
    post("/get_post/:user", poll);
    get("/who", (request) => this.#who(request));
    post("/leave/:user", (request) => this.#leave(request));
    get("/healthz", () => this.#health());
    for (const { path, serve } of readStatic(fileURLToPath(STATIC))) {
      // The pages are templates, of no use to anybody as they are.
      if (!path.endsWith(".html")) get(`/${path}`, serve);
    }
    for (const { path, serve } of readStatic(fileURLToPath(CLIENT))) get(`/client/${path}`, serve);
  }

  #who(request: Request): Outcome {
    const users = this.#room.who().slice(0, NAMES_TOLD);
    return json(200, { count: this.#room.present, users }, this.#sessions.renew(request));
  }

  async #leave(request: Request): Promise<Outcome> {
    const session = this.#sessions.caller(request);
    if ("code" in session) return session;
    const client = request.query()?.get("client");
    // A page that goes is mostly one that is loaded again: its name must not be free in between.
    if (client === undefined) this.#room.names.release(session);
    else this.#room.names.hold(session);
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
    const base = "../".repeat(Math.max(0, request.path.split("/").length - 2)) || "./";
    return html(status, this.#pages.error(request.req.headers["accept-language"], refusal, base), headers);
  }
}
