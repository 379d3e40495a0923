/** The routes of the protocol. */
import { fileURLToPath } from "node:url";
import { type Id, isId, parsePoll } from "../feed/index.js";
import type { Fields } from "../http/form.js";
import { HttpError, html, json, noContent, redirect, text } from "../http/response.js";
import { type Handler, Router } from "../http/router.js";
import { readStatic } from "../http/static.js";
import { type Auth, hostAuth, sameSite, withMember, withPage, withSession } from "./auth.js";
import { roomPath, toHttpError, unavailable } from "./errors.js";
import { Login } from "./login.js";
import { Pages, STATIC } from "./pages.js";
import { PlainPoll, Poll } from "./poll.js";
import { putPost } from "./post.js";
import type { Room } from "./room.js";

/** The compiled browser code, found from `dist/chat/` and from `src/chat/` alike. */
const CLIENT = new URL("../../dist/client/", import.meta.url);
/** How many names `/who` lists. */
const MAX_LISTED_NAMES = 1000;
const MAX_HISTORY = 200;
const DEFAULT_HISTORY = "50";

const BAD_LIMIT = new HttpError(400, "bad_request", `\`limit\` is a whole number from 1 to ${MAX_HISTORY}.`);
const BAD_BEFORE = new HttpError(400, "bad_cursor", "`before` is not the id of a message.");

/** Returns the router of a chat. @param onError called with an error that is a fault of the chat */
export function createRouter(room: Room, onError: (error: unknown) => void): Router {
  const { feed, members, metrics, options } = room;
  const { identify, bodyLimit, trustProxy, path: mount } = options;
  const pages = new Pages(room);
  const router = new Router({
    ...{ bodyLimit, trustProxy, mount, numberFields: ["since", "wait"], toHttpError, onError },
    closing: () => room.draining,
    toResponse: (request, error) => {
      if (request.path.startsWith("/put_post/")) metrics.countPost(error.code);
      return pages.errorResponse(request, error);
    },
    onSent: (bytes) => {
      metrics.bytes += bytes;
    },
  });
  const get = (pattern: string, handler: Handler) => router.on("GET", pattern, handler);
  const post = (pattern: string, handler: Handler) => router.on("POST", pattern, sameSite(handler));
  let auth: Auth;
  if (identify) {
    auth = hostAuth(identify);
  } else {
    const login = new Login(room, pages);
    get("/login", (request) => login.showForm(request));
    post("/login", (request) => login.logIn(request));
    post("/logout", (request) => login.logOut(request));
    auth = login;
  }

  const toRoom = withPage(auth, "", (request, session) =>
    redirect(303, roomPath(session.name), auth.renew(request, session)),
  );
  // Mounted at `/chat` and requested without the last slash: relative links would lead elsewhere.
  get("/", (request) => (request.base === "./" ? toRoom(request) : redirect(308, request.base)));
  get("/chatroom/:user", ({ params }) => redirect(308, `./${encodeURIComponent(params.user ?? "")}/`));
  const roomPage = withPage(auth, "../../", (request, session) => {
    const { key, name } = session;
    if (request.params.user !== name) return redirect(303, `../../${roomPath(name)}`);
    const before = parseBefore(request.query());
    // A link of another site leads here too, but it makes nobody present and moves no cursor.
    if (!request.isHead && !request.isForeign()) {
      members.touch(before === "now" ? room.enter(session) : members.get(key, name));
    }
    return html(200, pages.chatroom(request, name, before));
  });
  get("/chatroom/:user/", roomPage);

  post("/put_post/:user", putPost(room, auth));
  const poll = withMember(auth, (request, session, form) => {
    // Texts are faster than maps. `query()` throws a 400 if the percent-encoding of any field is malformed.
    const isPlain = form.size === 0 && !request.search.includes("%");
    // Of two fields with one name, that of the query counts, because it is the first.
    const fields = isPlain ? request.search : `${new URLSearchParams([...request.query(), ...form])}`;
    if (!/(?:^|&)since(?=[=&]|$)/.test(fields)) {
      return request.isHead ? json(200, "") : new PlainPoll(room, request, session).start();
    }
    const query = parsePoll(fields);
    if ("error" in query) throw new HttpError(400, ...query.error);
    if (!request.isHead) return new Poll(room, request, session, query).start();
    // HEAD changes nothing: no presence, and no poll of the same page is superseded.
    const { events: messages, ...batch } = feed.read(query.cursor);
    return json(200, { ...batch, present: members.names.length, messages });
  });
  get("/get_post/:user", sameSite(poll));
  post("/get_post/:user", poll);
  const leave = withMember(auth, async (request, session) => {
    // The rules of a poll, which begins with these two fields.
    const query = parsePoll(`since=0&wait=0&${request.search}`);
    if ("error" in query) throw new HttpError(400, ...query.error);
    await members.unload(session, query.client);
    return noContent();
  });
  post("/leave/:user", leave);
  const history = withMember(auth, (request) => {
    const query = request.query();
    const limit = Number(/^\d{1,3}$/.exec(query.get("limit") ?? DEFAULT_HISTORY)?.[0]);
    if (!(limit >= 1 && limit <= MAX_HISTORY)) throw BAD_LIMIT;
    const { events, more } = feed.readBefore(parseBefore(query), limit);
    return json(200, { messages: events.map(({ event }) => event), more });
  });
  get("/history/:user", history);
  const who = withSession(auth, (request, session) => {
    const names = { count: members.names.length, users: members.names.slice(0, MAX_LISTED_NAMES) };
    return json(200, names, session && auth.renew(request, session));
  });
  get("/who", who);

  get("/healthz", () => {
    if (room.draining) throw unavailable("draining", "The server is stopping.");
    if (!options.store.writable) throw unavailable("store_unavailable", "Messages cannot be kept now.");
    return text(200, "ok");
  });
  if (options.metrics) get("/metrics", () => metrics.page(feed.waiting, members.names.length));
  // Without the templates of the pages, whose type `readStatic` does not know.
  for (const [path, serve] of readStatic(fileURLToPath(STATIC))) get(`/${path}`, serve);
  for (const [path, serve] of readStatic(fileURLToPath(CLIENT))) get(`/client/${path}`, serve);
  return router;
}

/** Returns the id in the field `before`, or `"now"`. */
function parseBefore(query: Fields): Id | "now" {
  const before = query.get("before") ?? "now";
  if (before !== "now" && !isId(before)) throw BAD_BEFORE;
  return before;
}
