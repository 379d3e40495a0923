/** The routes of the protocol. */
import { fileURLToPath } from "node:url";
import { type Id, isId, parsePoll } from "../feed/index.js";
import type { Fields } from "../http/body.js";
import type { Request } from "../http/request.js";
import { badRequest, DYNAMIC, HttpError, html, json, type Result, redirect, text } from "../http/response.js";
import { type Handler, Router } from "../http/router.js";
import { readStatic } from "../http/static.js";
import { CLIENT, STATIC } from "../paths.js";
import type { Session } from "../store/store.js";
import { type Auth, hostAuth, Login, NO_SESSION } from "./login.js";
import { Pages } from "./pages.js";
import { enterRoom, PlainPoll, Poll } from "./poll.js";
import { putPost } from "./post.js";
import type { Room } from "./room.js";
import { type Awaitable, chain, roomPath, toHttpError, unavailable } from "./shared.js";
import { nameKey } from "./text.js";

/** How many names `/who` lists. */
const MAX_LISTED_NAMES = 1000;
/** How many messages one reply of `/history` has at most. */
const MAX_HISTORY = 200;

const BAD_LIMIT = badRequest(`\`limit\` is a whole number from 1 to ${MAX_HISTORY}.`);
const BAD_BEFORE = new HttpError(400, "bad_cursor", "`before` is not the id of a message.");
const NOT_YOU = new HttpError(403, "not_you", "You are logged in under another name.");
const FOREIGN = new HttpError(403, "foreign_origin", "This request came from another site.");
const NO_FIELDS: Fields = new Map();

/** Returns the router of a chat. @param onError called with an error that is a fault of the chat */
export function createRouter(room: Room, onError: (error: unknown) => void): Router {
  const { feed, members, metrics, options } = room;
  const { identify, bodyLimit, trustProxy, path: mount } = options;
  const pages = new Pages(room);
  const auth = identify ? hostAuth(identify) : new Login(room, pages);
  const closing = () => room.draining;
  const toResponse = (request: Request, error: HttpError) => {
    if (request.path.startsWith("/put_post/")) metrics.countPost(error.code);
    return pages.errorResponse(request, error);
  };
  const router = new Router({ bodyLimit, trustProxy, mount, closing, toResponse, toHttpError, onError });
  const get = (pattern: string, handler: Handler) => router.on("GET", pattern, handler);
  const post = (pattern: string, handler: Handler) => router.on("POST", pattern, sameSite(handler));
  // A handler for the member whose name is in the path.
  const forMember = (handler: MemberHandler) => withMember(auth, handler);

  if (auth instanceof Login) {
    get("/login", (request) => auth.showForm(request));
    post("/login", (request) => auth.logIn(request));
    post("/logout", (request) => auth.logOut(request));
  }
  get("/", async (request) => {
    // Mounted at `/chat` and requested without the last slash: relative links would lead elsewhere.
    if (request.base !== "./") return redirect(308, request.base);
    const session = await auth.authenticate(request);
    if (!session) return redirect(303, "login");
    return redirect(303, roomPath(session.name), auth.renew(request, session));
  });
  get("/chatroom/*", ({ param }) => redirect(308, `./${encodeURIComponent(param)}/`));
  get("/chatroom/*/", async (request) => {
    const session = await auth.authenticate(request);
    if (!session) return redirect(303, "../../login");
    const { key, name } = session;
    if (request.param !== name) return redirect(303, `../../${roomPath(name)}`);
    const before = parseBefore(request.query());
    // A link of another site leads here too, but it makes nobody present and moves no cursor.
    if (!request.isHead && !request.isForeign()) {
      members.touch(before === "now" ? enterRoom(room, session) : members.get(key, name));
    }
    return html(200, pages.chatroom(request, name, before));
  });

  post("/put_post/*", forMember(putPost(room)));
  const poll = forMember((request, session, form) => {
    // Texts are faster than maps. `query()` throws a 400 if the percent-encoding of any field is malformed.
    const isPlain = form.size === 0 && !request.search.includes("%");
    // Of two fields with one name, that of the query counts, because it is the first.
    const fields = isPlain ? request.search : `${new URLSearchParams([...request.query(), ...form])}`;
    const query = parsePoll(fields);
    if ("error" in query) {
      // Without `since`, it is a plain poll.
      if (/(?:^|&)since(?=[=&]|$)/.test(fields)) throw new HttpError(400, ...query.error);
      return request.isHead ? json(200, "") : new PlainPoll(room, request, session).start();
    }
    if (!request.isHead) return new Poll(room, request, session, query).start();
    // HEAD changes nothing: no presence, and no poll of the same page is superseded.
    const { events: messages, ...batch } = feed.read(query.cursor);
    return json(200, { ...batch, present: members.names.length, messages });
  });
  get("/get_post/*", sameSite(poll));
  post("/get_post/*", poll);
  const leave = forMember(async (request, session) => {
    // Throws a 400 if the query is malformed. `client` has the rules of a poll, so two fields make the query one of a poll.
    request.query();
    const query = parsePoll(`since=0&wait=0&${request.search}`);
    if ("error" in query) throw new HttpError(400, ...query.error);
    await members.unload(session, query.client);
    return { status: 204, headers: DYNAMIC };
  });
  post("/leave/*", leave);
  const history = forMember((request) => {
    const query = request.query();
    const limit = Number(/^\d{1,3}$/.exec(query.get("limit") ?? "50")?.[0]);
    if (!(limit >= 1 && limit <= MAX_HISTORY)) throw BAD_LIMIT;
    const { events, more } = feed.readBefore(parseBefore(query), limit);
    return json(200, { messages: events.map(({ event }) => event), more });
  });
  get("/history/*", history);
  get("/who", async (request) => {
    const session = await auth.authenticate(request);
    const names = { count: members.names.length, users: members.names.slice(0, MAX_LISTED_NAMES) };
    return json(200, names, session && auth.renew(request, session));
  });

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

/** Answers a request of the member whose name is in the path. A GET has no form fields. */
type MemberHandler = (request: Request, session: Session, form: Fields) => Awaitable<Result>;

/**
 * Returns a handler for members: the caller needs a session, and `<user>` in the path is its name. Only a member's body is
 * read. The session may end while the body arrives, so it is checked again after that.
 */
function withMember(auth: Auth, handler: MemberHandler): Handler {
  const findOwner = (request: Request): Awaitable<Session> =>
    chain(auth.authenticate(request), (session) => {
      if (!session) throw NO_SESSION;
      const { param: user } = request;
      if (user !== session.name && nameKey(user) !== session.key) throw NOT_YOU;
      return session;
    });
  return (request) =>
    chain(findOwner(request), (session) => {
      if (request.req.method !== "POST") return handler(request, session, NO_FIELDS);
      return request.form().then(async (form) => handler(request, await findOwner(request), form));
    });
}

/** Rejects requests that a page of another site made the browser send, with the member's cookie. */
function sameSite(handler: Handler): Handler {
  return (request) => {
    if (request.isForeign()) throw FOREIGN;
    return handler(request);
  };
}

/** Returns the id in the field `before`, or `"now"`. */
function parseBefore(query: Fields): Id | "now" {
  const before = query.get("before") ?? "now";
  if (before !== "now" && !isId(before)) throw BAD_BEFORE;
  return before;
}
