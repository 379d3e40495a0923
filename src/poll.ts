/**
 * The long poll over HTTP. With `since`, the caller has a cursor and gets a batch; without, the room keeps one for
 * the user, and the answer is one text. Either way the reply is held, not the request: when the connection closes, the
 * waiter goes, and nothing is lost, since no cursor has moved.
 */
import type { Fields } from "./http/form.js";
import { HELD, isRefusal, json, type Outcome, refuse, send } from "./http/reply.js";
import type { Request } from "./http/request.js";
import { type Cursor, isCursor } from "./room/backlog.js";
import type { Session } from "./room/names.js";
import type { Poll, Room } from "./room/room.js";
import type { Waiter } from "./room/waiters.js";
import type { Sessions } from "./sessions.js";

/** How long a poll waits that does not say, in seconds. */
const WAIT = 10;
/** The longest wait, in seconds. */
const MAX_WAIT = 60;
/** What a caller is told to wait when no more polls can be held, in seconds. */
const RETRY_AFTER = 2;

const HEADERS = { "Content-Type": "application/json", "Cache-Control": "no-store" };

/** The handler of `/get_post/:user`. */
export function longPoll(
  room: Room,
  sessions: Sessions,
): (request: Request) => Outcome | Promise<Outcome | undefined> {
  return (request) => {
    const session = sessions.caller(request);
    if ("code" in session) return session;
    const query = request.query();
    if (!query) return refuse(400, "bad_request", "The query is malformed.");
    if (request.req.method !== "POST") return poll(room, request, session, query);
    return request.form().then((form) => {
      if (!form || isRefusal(form)) return form;
      return poll(room, request, session, new Map([...form, ...query]));
    });
  };
}

function poll(room: Room, request: Request, session: Session, fields: Fields): Outcome {
  const since = fields.get("since");
  if (since === undefined) return plainPoll(room, request, session);
  if (since !== "now" && !isCursor(since)) return refuse(400, "bad_cursor", "`since` is not a cursor.");
  const wait = fields.get("wait") ?? `${WAIT}`;
  if (!/^\d+(\.\d+)?$/.test(wait) || Number(wait) > MAX_WAIT) {
    return refuse(400, "bad_request", `\`wait\` is a number of seconds, 0 to ${MAX_WAIT}.`);
  }
  const client = fields.get("client");
  if (client !== undefined && !/^[\w-]{1,64}$/.test(client)) {
    return refuse(400, "bad_request", "`client` is 1 to 64 of A-Z, a-z, 0-9, _ and -.");
  }
  // Who asks for the head only is not told what there is, so it neither waits nor supersedes.
  const asked: Poll = request.isHead
    ? { user: session.name, since, wait: 0 }
    : { user: session.name, since, wait: Number(wait) * 1000, client };
  const held = room.poll(asked, (answer) => reply(room, request, answer.json));
  if (held === "full") return full();
  if (held) request.res.on("close", () => room.gone(held));
  return HELD;
}

/** The poll of old pages: one text, or `""` at the end of the wait. Notices are not for them. */
function plainPoll(room: Room, request: Request, session: Session): Outcome {
  const { req, res } = request;
  const user = session.name;
  if (request.isHead) return json(200, "");
  const deadline = Date.now() + WAIT * 1000;
  // A dead connection shows in an answer that never left, or in the reset that comes back for it.
  const isLost = () => !res.writableFinished || req.socket.errored !== null;
  const ask = (since: Cursor): Waiter | undefined | "full" =>
    room.poll({ user, since, wait: Math.max(1, deadline - Date.now()) }, ({ batch }) => {
      const said = batch.messages.find((message) => message.kind === undefined);
      if (said) {
        reply(room, request, JSON.stringify(said.text));
        room.plain.handed(user, said.id, isLost);
      } else if (batch.messages.length > 0 && Date.now() < deadline) {
        held = ask(batch.cursor);
      } else {
        reply(room, request, '""');
      }
    });
  let held = ask(room.plain.cursor(user));
  if (held === "full") return full();
  res.on("close", () => {
    if (held && held !== "full") room.gone(held);
  });
  return HELD;
}

function full(): Outcome {
  return refuse(503, "too_many_waiters", "Too many people are waiting. Try again soon.", {
    "Retry-After": `${RETRY_AFTER}`,
  });
}

function reply(room: Room, request: Request, body: string): void {
  if (room.draining) request.res.shouldKeepAlive = false;
  send(request.res, { status: 200, headers: HEADERS, body });
}
