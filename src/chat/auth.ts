/** Who is calling, and what only members may do. A session is checked again after every wait, in this file only. */
import { Fields } from "../http/form.js";
import type { Request } from "../http/request.js";
import { HttpError, type Result, redirect } from "../http/response.js";
import type { Handler } from "../http/router.js";
import type { Session } from "../store/cluster.js";
import { nameKey } from "./text.js";

/** Authenticates requests: by our own cookie, or by the host's log-in. */
export interface Auth {
  /** Returns the caller's session if it is valid, else undefined. Asks again each time. */
  authenticate(request: Request): Session | undefined | Promise<Session | undefined>;
  /** The error for a caller without a session. */
  readonly noSession: HttpError;
  /** The log-in page, from the chat's root; undefined if it is the host's. */
  readonly loginPath: string | undefined;
  /** Returns the header that renews the caller's cookie, if it is time. Only for replies at the chat's root. */
  renew(request: Request): { readonly "Set-Cookie"?: string };
}

type SessionHandler<S> = (request: Request, session: S) => Result | Promise<Result>;

/** Answers a request of the member whose name is in its path. A GET has no form fields. */
export type MemberHandler = (request: Request, session: Session, form: Fields) => Result | Promise<Result>;

const NOT_YOU = new HttpError(403, "not_you", "You are logged in under another name.");
const NO_FIELDS = new Fields();

/** Makes a handler that gets the caller's session, if there is one. Behind a host's log-in, there must be one. */
export function withSession(auth: Auth, handler: SessionHandler<Session | undefined>): Handler {
  return (request) =>
    after(auth.authenticate(request), (session) => {
      if (!session && auth.loginPath === undefined) throw auth.noSession;
      return handler(request, session);
    });
}

/** Makes a handler of a page: callers without a session are sent to the log-in page. @param base the way to the root */
export function withPage(auth: Auth, base: string, handler: SessionHandler<Session>): Handler {
  return withSession(auth, (request, session) => {
    return session ? handler(request, session) : redirect(303, `${base}${auth.loginPath}`);
  });
}

/**
 * Makes a handler for members: the caller needs a session, and the path's `<user>` is its name. The body of a stranger is
 * not read. A session may end while a body arrives, so it is checked again after that.
 * @param check refuses a member before the body is read
 */
export function withMember(auth: Auth, handler: MemberHandler, check?: (session: Session) => void): Handler {
  return withOwner(auth, (request, session) => {
    if (request.req.method !== "POST") return handler(request, session, NO_FIELDS);
    check?.(session);
    const again = (form: Fields) => withOwner(auth, (_, session) => handler(request, session, form))(request);
    return request.form().then(again);
  });
}

function withOwner(auth: Auth, handler: SessionHandler<Session>): Handler {
  return withSession(auth, (request, session) => {
    if (!session) throw auth.noSession;
    const { user = "" } = request.params;
    if (user !== session.name && nameKey(user) !== session.key) throw NOT_YOU;
    return handler(request, session);
  });
}

/** Without a promise in between, a poll is held in the same tick in which it came. */
function after<T>(
  value: T | Promise<T>,
  next: (value: T) => Result | Promise<Result>,
): Result | Promise<Result> {
  return value instanceof Promise ? value.then(next) : next(value);
}
