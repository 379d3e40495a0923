/** The small routes of the protocol. */
import { isId } from "../feed/index.js";
import type { Request } from "../http/request.js";
import { HttpError, type HttpResponse, json, noContent, redirect, text } from "../http/response.js";
import type { Handler } from "../http/router.js";
import type { Session } from "../store/cluster.js";
import { type Auth, withPage } from "./auth.js";
import { BAD_BEFORE, roomPath, unavailable } from "./errors.js";
import { parsePage } from "./poll.js";
import type { Room } from "./room.js";

/** How many names `/who` lists. */
const MAX_LISTED_NAMES = 1000;
const MAX_HISTORY = 200;
const DEFAULT_HISTORY = 50;

const FOREIGN = new HttpError(403, "foreign_origin", "This request came from another site.");
const BAD_LIMIT = new HttpError(400, "bad_request", `\`limit\` is a whole number from 1 to ${MAX_HISTORY}.`);

/** Refuses requests that a page of another site made the browser send, with the member's cookie. */
export function refuseForeign(handler: Handler): Handler {
  return (request) => {
    if (request.isForeign()) throw FOREIGN;
    return handler(request);
  };
}

/** Answers `GET /`. */
export function home(auth: Auth): Handler {
  const toRoom = withPage(auth, "", (request, { name }) =>
    redirect(303, roomPath(name), auth.renew(request)),
  );
  // Mounted at `/chat` and asked for without the last slash: relative links would lead outside.
  return (request) => (request.base === "./" ? toRoom(request) : redirect(308, request.base));
}

/** Answers `GET /chatroom/:user`, without the last slash. */
export function chatroomSlash(request: Request): HttpResponse {
  return redirect(308, `./${encodeURIComponent(request.params.user ?? "")}/`);
}

/** Answers `GET /who`. */
export function who(
  { members }: Room,
  auth: Auth,
  request: Request,
  session: Session | undefined,
): HttpResponse {
  const { names } = members.presence;
  const headers = session ? auth.renew(request) : {};
  return json(200, { count: names.length, users: names.slice(0, MAX_LISTED_NAMES) }, headers);
}

/** Answers `GET /history/:user`: kept messages before an id, oldest first. */
export function history({ feed }: Room, request: Request): HttpResponse {
  const query = request.query();
  const before = query?.get("before") ?? "now";
  const limit = query?.get("limit") ?? `${DEFAULT_HISTORY}`;
  if (before !== "now" && !isId(before)) throw BAD_BEFORE;
  if (!/^\d{1,3}$/.test(limit) || Number(limit) < 1 || Number(limit) > MAX_HISTORY) throw BAD_LIMIT;
  const { events, more } = feed.readBefore(before, Number(limit));
  return json(200, { messages: events.map(({ event }) => event), more });
}

/** Answers `POST /leave/:user`. */
export async function unload({ members }: Room, request: Request, session: Session): Promise<HttpResponse> {
  await members.unload(session, parsePage(request.query()));
  return noContent();
}

/** Answers `GET /healthz`. */
export function health(room: Room): HttpResponse {
  if (room.draining) throw unavailable("draining", "The server is stopping.");
  if (!room.writable) throw unavailable("store_unavailable", "Messages cannot be kept now.");
  return text(200, "ok");
}
