/**
 * The long poll over HTTP. With `since`, the caller has a cursor and gets a batch; without, it is a plain poll, whose
 * cursor is a cookie and whose answer is one text. When the connection closes, the waiter is removed and no cursor moves.
 */
import type { ServerResponse } from "node:http";
import type { Fields } from "./http/form.js";
import { HELD, json, type Outcome, refuse } from "./http/reply.js";
import type { Request } from "./http/request.js";
import type { Handler } from "./http/router.js";
import { PlainCookie } from "./plain-cookie.js";
import { unavailable } from "./replies.js";
import type { Answer, Ending } from "./room/answers.js";
import { type Cursor, isCursor } from "./room/backlog.js";
import type { Start } from "./room/legacy-cursors.js";
import type { Session } from "./room/names.js";
import type { Room } from "./room/room.js";
import { Waiter } from "./room/waiters.js";
import type { Sessions } from "./sessions.js";

/** How long a poll waits that does not say, in seconds. */
const WAIT = 10;
/** The longest wait, in seconds. */
const MAX_WAIT = 60;

const FULL = unavailable("too_many_waiters", "Too many people are waiting. Try again soon.", 2);

/** The handler of `/get_post/:user`. */
export function longPoll(room: Room, sessions: Sessions): Handler {
  return sessions.member((request, session, form) => {
    const query = request.query();
    if (!query) return refuse(400, "bad_request", "The query is malformed.");
    return poll(room, request, session, form.size > 0 ? query.and(form) : query);
  });
}

function poll(room: Room, request: Request, session: Session, fields: Fields): Outcome | Promise<Outcome> {
  const since = fields.get("since");
  if (since === undefined) return plainPoll(room, request, session);
  if (since !== "now" && !isCursor(since)) return refuse(400, "bad_cursor", "`since` is not a cursor.");
  const wait = fields.get("wait") ?? `${WAIT}`;
  if (!/^\d+(\.\d+)?$/.test(wait) || Number(wait) > MAX_WAIT) {
    return refuse(400, "bad_request", `\`wait\` is a number of seconds, 0 to ${MAX_WAIT}.`);
  }
  const client = fields.get("client");
  if (client !== undefined && !isClient(client)) return BAD_CLIENT;
  const { name } = session;
  // Who asks for the head only is not told what there is, so it neither waits nor supersedes.
  if (request.isHead) return ask(room, request, new Poll(room, request, name, since, 0));
  // Other requests may be waiting behind it (protocol.md).
  const ms = request.wasQueued ? 0 : Number(wait) * 1000;
  return ask(room, request, new Poll(room, request, name, since, ms, client));
}

class Poll extends Waiter {
  readonly #room: Room;
  readonly #res: ServerResponse;

  constructor(
    room: Room,
    { res }: Request,
    user: string,
    since: Cursor | "now",
    wait: number,
    client?: string,
  ) {
    super(user, since, wait, client);
    this.#room = room;
    this.#res = res;
  }

  answer({ json, bytes }: Answer): void {
    reply(this.#room, this.#res, json, bytes);
  }
}

function plainPoll(room: Room, request: Request, session: Session): Outcome {
  if (request.isHead) return json(200, "");
  return ask(room, request, new PlainPoll(room, request, session, request.wasQueued ? 0 : WAIT * 1000));
}

/** A poll without `since`: one text, or `""` at the end of the wait. Notices are not for such callers. */
class PlainPoll extends Waiter {
  readonly #room: Room;
  readonly #res: ServerResponse;
  readonly #session: Session;
  readonly #cookie: PlainCookie;
  readonly #start: Start;
  readonly #deadline: number;

  constructor(room: Room, request: Request, session: Session, wait: number) {
    const cookie = new PlainCookie(request, session);
    const start = room.legacy.load(session, cookie.cursor);
    super(session.name, start.cursor, wait);
    this.#room = room;
    this.#res = request.res;
    this.#session = session;
    this.#cookie = cookie;
    this.#start = start;
    this.#deadline = performance.now() + wait;
  }

  answer({ batch }: Answer, ending: Ending): void {
    const message = batch.messages.find(({ kind }) => kind === undefined);
    this.cursor = message?.id ?? batch.cursor;
    this.wait = this.#deadline - performance.now();
    // Notices are not for it: it waits for the rest of its time.
    const waitsOn = !message && ending === "message" && this.wait > 0;
    if (waitsOn && this.#room.poll(this) !== "full") return;
    const body = JSON.stringify(message?.text ?? "");
    const cookie = this.#cookie.set(this.cursor);
    const isSent = reply(this.#room, this.#res, body, Buffer.byteLength(body), cookie);
    if (isSent && message) this.#room.legacy.advance(this.#session, this.#start, message.id);
  }
}

/** Whether a text from outside is a client's id. */
export function isClient(text: string): boolean {
  return /^[\w-]{1,64}$/.test(text);
}

export const BAD_CLIENT = refuse(400, "bad_request", "`client` is 1 to 64 of A-Z, a-z, 0-9, _ and -.");

function ask(room: Room, { res }: Request, poll: Waiter): Outcome {
  const outcome = room.poll(poll);
  if (outcome === "full") return FULL;
  // Who left while the body was read is gone already, and would not be told of again.
  if (outcome === "held" && res.destroyed) room.gone(poll);
  else if (outcome === "held") res.on("close", () => room.gone(poll));
  return HELD;
}

/**
 * Writes a poll's answer and returns whether there was a connection for it. Not `send`, which copies the headers: this is
 * the hot path.
 */
function reply(
  room: Room,
  res: ServerResponse,
  body: string | Buffer,
  bytes: number,
  cookie?: string,
): boolean {
  // A host's time-out may have answered in our stead.
  if (res.destroyed || res.headersSent) return false;
  if (room.draining) res.shouldKeepAlive = false;
  room.counts.bytes += bytes;
  res.writeHead(200, {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "Content-Length": bytes,
    ...(cookie !== undefined && { "Set-Cookie": cookie }),
  });
  const { socket } = res;
  // `end(body)` would hand the socket two pieces, the second one empty. As one piece it is 5% of a delivery less.
  socket?.cork();
  res.write(body);
  socket?.uncork();
  res.end();
  return true;
}
