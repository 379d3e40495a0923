/**
 * The chat: the protocol's table of routes, wired to a room. A handler reads what was asked, asks the room, and gives
 * a reply back; who may call, and what is refused with which code, is all here.
 */
import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import {
  html,
  isRefusal,
  json,
  type Outcome,
  type Refusal,
  type Reply,
  redirect,
  refuse,
} from "./http/reply.js";
import type { Request } from "./http/request.js";
import { type Handler, Router } from "./http/router.js";
import { readStatic } from "./http/static.js";
import { Pages, STATIC } from "./pages.js";
import { longPoll } from "./poll.js";
import { parseName, type Session } from "./room/names.js";
import { Room } from "./room/room.js";
import { parseText } from "./room/text.js";
import { Sessions } from "./sessions.js";
import { MemoryStore } from "./store/memory.js";
import { type Store, StoreUnavailable } from "./store/store.js";

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
  /** Answers every held poll and refuses what comes; resolves when the store is closed. */
  close(): Promise<void>;
}

/** The longest request body, in bytes. */
const BODY_LIMIT = 64 * 1024;
/** How long people are still here after their last poll, in milliseconds. */
const GRACE = 30_000;
/** How many messages are in the page's HTML. */
const MESSAGES_IN_PAGE = 100;
/** How many names `/who` tells at the most. */
const NAMES_TOLD = 1000;
/** What callers are told to wait for a store that is in trouble, in seconds. */
const RETRY_AFTER = 5;

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
    handler(req, res) {
      if (room.draining) res.setHeader("Connection", "close");
      routes.router.handle(req, res);
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
    get("/", (request) => this.#home(request));
    get("/login", () => html(200, this.#pages.login("", "")));
    post("/login", (request) => this.#login(request));
    post("/logout", (request) => this.#logout(request));
    get("/chatroom/:user", (request) => redirect(308, `./${segment(request.params.user)}/`));
    get("/chatroom/:user/", (request) => this.#chatroom(request));
    post("/put_post/:user", (request) => this.#post(request));
    get("/get_post/:user", poll);
    post("/get_post/:user", poll);
    get("/who", () => this.#who());
    post("/leave/:user", (request) => this.#leave(request));
    get("/healthz", () => this.#health());
    for (const { path, serve } of readStatic(fileURLToPath(STATIC))) get(`/${path}`, serve);
    const client = new URL("../dist/client/", import.meta.url);
    for (const { path, serve } of readStatic(fileURLToPath(client))) get(`/client/${path}`, serve);
  }

  #home(request: Request): Outcome {
    const session = this.#sessions.of(request);
    return redirect(303, session ? `chatroom/${segment(session.name)}/` : "login");
  }

  async #login(request: Request): Promise<Outcome | undefined> {
    const fields = await request.form();
    if (!fields || isRefusal(fields)) return fields;
    const typed = fields.get("name") ?? "";
    const name = parseName(typed);
    if ("rule" in name) return this.#loginRefused(request, typed, refuse(422, "bad_name", name.rule));
    const before = this.#sessions.of(request);
    const session = before?.key === name.key ? before : this.#sessions.create(name);
    if (!this.#room.names.claim(session)) {
      return this.#loginRefused(
        request,
        typed,
        refuse(409, "name_taken", "Somebody else has this name now."),
      );
    }
    if (before && before !== session) this.#room.logout(before);
    this.#room.plain.open(session.name, this.#room.newest(0).cursor);
    return redirect(303, `chatroom/${segment(session.name)}/`, {
      "Set-Cookie": this.#sessions.cookie(session, request),
    });
  }

  #loginRefused(request: Request, typed: string, refusal: Refusal): Outcome {
    if (!request.prefersHtml()) return refusal;
    return html(refusal.status, this.#pages.login(typed, refusal.message));
  }

  #logout(request: Request): Outcome {
    const session = this.#sessions.of(request);
    if (session) this.#room.logout(session);
    return redirect(303, "login", { "Set-Cookie": this.#sessions.noCookie(request) });
  }

  #chatroom(request: Request): Outcome {
    const session = this.#sessions.of(request);
    if (!session) return redirect(303, "../../login");
    if (request.params.user !== session.name) return redirect(303, `../${segment(session.name)}/`);
    if (!request.isHead) this.#room.view(session.name);
    const { messages, cursor } = this.#room.newest(MESSAGES_IN_PAGE);
    return html(200, this.#pages.chatroom(session, messages, cursor, this.#room.present));
  }

  async #post(request: Request): Promise<Outcome | undefined> {
    const session = this.#sessions.caller(request);
    if ("code" in session) return session;
    if (this.#room.draining) return unavailable("draining", "The server is stopping. Try again soon.");
    const fields = await request.form();
    if (!fields || isRefusal(fields)) return fields;
    const message = parseText(fields.get("message") ?? "");
    if ("rule" in message) return refuse(422, "bad_message", message.rule);
    const key = request.req.headers["idempotency-key"] ?? fields.get("key");
    if (Array.isArray(key) || (key !== undefined && key.length > 64)) {
      return refuse(400, "bad_request", "An idempotency key has at most 64 characters.");
    }
    this.#room.names.hold(session);
    return this.#keep(request, session, message.text, key);
  }

  async #keep(request: Request, session: Session, text: string, key: string | undefined): Promise<Outcome> {
    try {
      const { id } = await this.#room.post(session.name, text, key || undefined);
      return request.prefersHtml()
        ? redirect(303, `../chatroom/${segment(session.name)}/`)
        : json(200, { id });
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      return unavailable(
        "store_unavailable",
        "Messages cannot be kept now. Nothing was sent; try again soon.",
      );
    }
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
    return html(status, this.#pages.error(refusal, base), headers);
  }
}

function unavailable(code: "draining" | "store_unavailable", message: string): Refusal {
  return refuse(503, code, message, { "Retry-After": `${RETRY_AFTER}` });
}

/** A name as one segment of a relative URL. */
function segment(name = ""): string {
  return encodeURIComponent(name);
}
