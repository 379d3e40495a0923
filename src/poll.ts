/**
 * The long poll over HTTP. With `since`, the caller has a cursor and gets a batch; without, the room keeps one for
 * the user, and the answer is one text. Either way the reply is held, not the request: when the connection closes, the
 * waiter goes, and nothing is lost, since no cursor has moved.
 */
import type { ServerResponse } from "node:http";
import type { Fields } from "./http/form.js";
import { HELD, isRefusal, json, NOSNIFF, type Outcome, refuse } from "./http/reply.js";
import type { Request } from "./http/request.js";
import type { Handler } from "./http/router.js";
import { unavailable } from "./replies.js";
import type { Answer, Ending } from "./room/answers.js";
import { type Cursor, isCursor } from "./room/backlog.js";
import type { Session } from "./room/names.js";
import type { Room } from "./room/room.js";
import { Waiter } from "./room/waiters.js";
import type { Sessions } from "./sessions.js";

/** How long a poll waits that does not say, in seconds. */
const WAIT = 10;
/** The longest wait, in seconds. */
const MAX_WAIT = 60;

const HEADERS = { "Content-Type": "application/json", "Cache-Control": "no-store", ...NOSNIFF };

const FULL = unavailable("too_many_waiters", "Too many people are waiting. Try again soon.", 2);

/** The handler of `/get_post/:user`. */
export function longPoll(room: Room, sessions: Sessions): Handler {
  return (request) => {
    const session = sessions.caller(request);
    if ("code" in session) return session;
    const query = request.query();
    if (!query) return refuse(400, "bad_request", "The query is malformed.");
    if (request.req.method !== "POST") return poll(room, request, session, query);
    return request.form().then((form) => {
      if (!form || isRefusal(form)) return form;
      return poll(room, request, session, query.and(form));
    });
  };
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
  // The head of what a GET would get now. Nobody is present by it.
  if (request.isHead) return { status: 200, headers: HEADERS, body: room.look(since).json };
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

async function plainPoll(room: Room, request: Request, session: Session): Promise<Outcome> {
  if (request.isHead) return json(200, "");
  await room.plain.recall(session.name);
  const since = room.plain.cursor(session.name);
  const deadline = performance.now() + (request.wasQueued ? 0 : WAIT * 1000);
  return ask(room, request, new PlainPoll(room, request, session.name, since, deadline));
}

/** The poll of old pages: one text, or `""` at the end of the wait. Notices are not for them. */
class PlainPoll extends Waiter {
  readonly #room: Room;
  readonly #request: Request;
  readonly #deadline: number;

  constructor(room: Room, request: Request, user: string, since: Cursor, deadline: number) {
    super(user, since, deadline - performance.now());
    this.#room = room;
    this.#request = request;
    this.#deadline = deadline;
  }

  answer({ batch }: Answer, ending: Ending): void {
    const { req, res } = this.#request;
    const said = batch.messages.find((message) => message.kind === undefined);
    if (said) {
      reply(this.#room, res, JSON.stringify(said.text));
      // A dead connection shows in an answer that never left, or in the reset that comes back for it.
      const isLost = () => !res.writableFinished || req.socket.errored !== null;
      this.#room.plain.handed(this.user, said.id, isLost, req.socket);
    } else if (ending !== "message" || performance.now() >= this.#deadline) {
      reply(this.#room, res, '""');
    } else {
      // Nothing for this caller: it waits on, for the rest of its time.
      this.cursor = batch.cursor;
      this.wait = this.#deadline - performance.now();
      if (this.#room.poll(this) === "full") reply(this.#room, res, '""');
    }
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

/** Not `send`, which copies the headers: this is the hot path. */
function reply(
  room: Room,
  res: ServerResponse,
  body: string | Buffer,
  bytes = Buffer.byteLength(body),
): void {
  // A host's time-out may have answered in our stead.
  if (res.destroyed || res.headersSent) return;
  if (room.draining) res.shouldKeepAlive = false;
  room.counts.bytes += bytes;
  res.writeHead(200, { ...HEADERS, "Content-Length": bytes });
  const { socket } = res;
  // `end(body)` would hand the socket two pieces, the second one empty. As one piece it is 5% of a delivery less.
  socket?.cork();
  res.write(body);
  socket?.uncork();
  res.end();
}
