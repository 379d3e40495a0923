/** Authentication: identifies the sender of a request and guards the routes of members, also after every wait. */
import type { Fields } from "../http/form.js";
import type { Request } from "../http/request.js";
import { type HeaderMap, HttpError, type Result, redirect } from "../http/response.js";
import type { Handler } from "../http/router.js";
import type { Session } from "../store/cluster.js";
import type { Identified, Identify } from "./options.js";
import { nameKey, parseName } from "./text.js";

export type Awaitable<T> = T | Promise<T>;

/** Authenticates requests: by the chat's own cookie, or by the host. */
export interface Auth {
  /** Returns the caller's session, or undefined if there is none that is valid. With host auth, that is a 401 instead. */
  authenticate(request: Request): Awaitable<Session | undefined>;
  /** Returns the header that renews the cookie of a session, if it is time. Only for replies at the chat's root. */
  renew(request: Request, session: Session): HeaderMap;
}

const NO_SESSION = new HttpError(401, "no_session", "Log in first.");
const NOT_YOU = new HttpError(403, "not_you", "You are logged in under another name.");
const FOREIGN = new HttpError(403, "foreign_origin", "This request came from another site.");
const NO_FIELDS: Fields = new Map();

/** Returns host auth: the host names the sender of each request. There is no cookie, and two people may have one name. */
export function hostAuth(identify: Identify): Auth {
  const toSession = (identified: Identified): Session => {
    if (identified === undefined || identified === null) throw NO_SESSION;
    const toError = (rule: string) => new RangeError(`identify returned a name that is not allowed: ${rule}`);
    if (typeof identified !== "string") throw toError("A name is a text.");
    return { ...parseName(identified, toError), id: "", since: 0 };
  };
  return {
    renew: () => ({}),
    authenticate({ req }) {
      const identified = identify(req);
      const isPending = typeof identified === "object" && identified !== null;
      return isPending ? Promise.resolve(identified).then(toSession) : toSession(identified);
    },
  };
}

/** Calls `next` with a value. Without a promise in between, a poll is held in the tick in which it came. */
export function chain<T, R>(value: Awaitable<T>, next: (value: T) => Awaitable<R>): Awaitable<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/** Rejects requests that a page of another site made the browser send, with the member's cookie. */
export function sameSite(handler: Handler): Handler {
  return (request) => {
    if (request.isForeign()) throw FOREIGN;
    return handler(request);
  };
}

/** Answers a request of a caller whose session is known. */
type SessionHandler<S> = (request: Request, session: S) => Awaitable<Result>;

/** Returns a handler that gets the caller's session, if there is one. */
export function withSession(auth: Auth, handler: SessionHandler<Session | undefined>): Handler {
  return (request) => chain(auth.authenticate(request), (session) => handler(request, session));
}

/** Returns a handler for a page: callers without a session are sent to the log-in page. @param base the path to the root */
export function withPage(auth: Auth, base: string, handler: SessionHandler<Session>): Handler {
  return withSession(auth, (request, session) =>
    session ? handler(request, session) : redirect(303, `${base}login`),
  );
}

/** Answers a request of the member whose name is in the path. A GET has no form fields. */
export type MemberHandler = (request: Request, session: Session, form: Fields) => Awaitable<Result>;

/**
 * Returns a handler for members: the caller needs a session, and `<user>` in the path is its name. Only a member's body is
 * read. The session may end while the body arrives, so it is checked again after that.
 */
export function withMember(auth: Auth, handler: MemberHandler): Handler {
  const withOwner = (next: SessionHandler<Session>) =>
    withSession(auth, (request, session) => {
      if (!session) throw NO_SESSION;
      const { user = "" } = request.params;
      if (user !== session.name && nameKey(user) !== session.key) throw NOT_YOU;
      return next(request, session);
    });
  return withOwner((request, session) => {
    if (request.req.method !== "POST") return handler(request, session, NO_FIELDS);
    return request.form().then((form) => withOwner((_, session) => handler(request, session, form))(request));
  });
}
