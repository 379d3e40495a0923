/**
 * The chat: the protocol's table of routes, wired to a room. A handler reads what was asked, asks the room, and gives
 * a reply back; who may call, and what is refused with which code, is all here.
 */
import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import { Doors } from "./doors.js";
import { html, json, type Outcome, type Refusal, type Reply, refuse } from "./http/reply.js";
import type { Request } from "./http/request.js";
import { type Handler, Router } from "./http/router.js";
import { readStatic } from "./http/static.js";
import { Pages, STATIC } from "./pages.js";
import { longPoll } from "./poll.js";
import { putPost } from "./post.js";
import { unavailable } from "./replies.js";
import { Room } from "./room/room.js";
import { Sessions } from "./sessions.js";
import { MemoryStore } from "./store/memory.js";
import type { Store } from "./store/store.js";

/** Options of a chat; all have defaults. */
export interface ChatOptions {
  /** How many messages are kept for those who come later, 1 or more. Default 1,000. */
  readonly backlog?: number;
  /** How many polls are held at once; more are 503. Default 10,000. */
  readonly maxWaiters?: number;
  /** Where messages are kept. Default: in memory, gone with the process. */
  readonly store?: Store;
  /** Secrets for session cookies: the first signs, all are good. Default: a random one, gone with the process. */
  readonly secrets?: readonly [string | Buffer, ...(string | Buffer)[]];
  /** Is told, in one line, of faults of ours. Default: `console.error`. */
  readonly log?: (line: string) => void;
}

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
/** The longest request body, in bytes. */
const BODY_LIMIT = 64 * 1024;
/** How long people are still here after their last poll, in milliseconds. */
const GRACE = 30_000;
/** How many names `/who` tells at the most. */
const NAMES_TOLD = 1000;

/** Opens a chat room. Rejects when its store cannot be opened. */
export async function createChat(options: ChatOptions = {}): Promise<Chat> {
  const backlog = options.backlog ?? 1000;
  const room = await Room.open({
    store: options.store ?? new MemoryStore(backlog),
    backlog,
    maxWaiters: options.maxWaiters ?? 10_000,
    grace: GRACE,
  });
  const log = options.log ?? console.error;
  const routes = new Routes(room, new Sessions(room, options.secrets ?? [randomBytes(32)]), log);
  return {
    handler: (req, res) => routes.router.handle(req, res),
    get waiting() {
      return room.waiting;
    },
    close: () => room.close(),
  };
}

class Routes {
  readonly router: Router;
  readonly #room: Room;
  readonly #sessions: Sessions;
  readonly #pages = new Pages();

  constructor(room: Room, sessions: Sessions, log: (line: string) => void) {
    this.#room = room;
    this.#sessions = sessions;
    const poll = longPoll(room, sessions);
    this.router = new Router({
      bodyLimit: BODY_LIMIT,
      closing: () => room.draining,
      refused: (request, refusal) => this.#refused(request, refusal),
      failed: (error) => log(`a handler failed: ${error instanceof Error ? error.stack : String(error)}`),
    });
    const get = (pattern: string, handler: Handler) => this.router.on("GET", pattern, handler);
    // A page elsewhere may make a browser send a POST, cookie and all; it gets no further than this.
    const post = (pattern: string, handler: Handler) =>
      this.router.on("POST", pattern, (request) =>
        request.isForeign()
          ? refuse(403, "foreign_origin", "This came from another site.")
          : handler(request),
      );
    const doors = new Doors(room, sessions, this.#pages);
    get("/", (request) => doors.home(request));
    get("/login", (request) => doors.loginForm(request));
    post("/login", (request) => doors.login(request));
    post("/logout", (request) => doors.logout(request));
    get("/chatroom/:user", (request) => doors.chatroomSlash(request));
    get("/chatroom/:user/", (request) => doors.chatroom(request));
    post("/put_post/:user", putPost(room, sessions));
    get("/get_post/:user", poll);
    post("/get_post/:user", poll);
    get("/who", () => this.#who());
    post("/leave/:user", (request) => this.#leave(request));
    get("/healthz", () => this.#health());
    for (const { path, serve } of readStatic(fileURLToPath(STATIC))) {
      // The pages are templates, of no use to anybody as they are.
      if (!path.endsWith(".html")) get(`/${path}`, serve);
    }
    for (const { path, serve } of readStatic(fileURLToPath(CLIENT))) get(`/client/${path}`, serve);
  }

  #who(): Outcome {
    return json(200, { count: this.#room.present, users: this.#room.who().slice(0, NAMES_TOLD) });
  }

  #leave(request: Request): Outcome {
    const session = this.#sessions.caller(request);
    if ("code" in session) return session;
    this.#room.names.release(session);
    this.#room.leave(session.name, request.query()?.get("client"));
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
