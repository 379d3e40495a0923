/** Authentication: identifies the sender of a request and guards the routes of members, also after every wait. */
import { Fields } from "../http/form.js";
import type { Request } from "../http/request.js";
import { HttpError, type Result, redirect } from "../http/response.js";
import type { Handler } from "../http/router.js";
import type { Session } from "../store/cluster.js";
import type { Members } from "./members.js";
import type { Identified, Identify } from "./options.js";
import { nameKey, parseName } from "./text.js";

/** Authenticates requests: by the chat's own cookie, or by the host. */
export interface Auth {
  /** Returns the caller's session if it is valid, else undefined. */
  authenticate(request: Request): Session | undefined | Promise<Session | undefined>;
  /** The error for a caller without a session. */
  readonly noSession: HttpError;
  /** The path of the log-in page, from the chat's root. Undefined if the host has it. */
  readonly loginPath: string | undefined;
  /** Returns the header that renews the caller's cookie, if it is time. Only for replies at the chat's root. */
  renew(request: Request): { readonly "Set-Cookie"?: string };
}

/** Returns host auth: the host names the sender of each request. There is no cookie, and two people may have one name. */
export function hostAuth(members: Members, identify: Identify): Auth {
  const sessionOf = (identified: Identified, isHead: boolean): Session | undefined => {
    if (identified === undefined || identified === null) return undefined;
    if (typeof identified !== "string") {
      throw new TypeError(
        `identify must return a name or undefined, not a value of type ${typeof identified}`,
      );
    }
    const name = parseName(identified);
    if ("rule" in name) throw new RangeError(`identify returned a name that is not allowed: ${name.rule}`);
    const session = { ...name, id: "", since: 0 };
    // The member gets the newest spelling of the name. HEAD changes nothing.
    if (!isHead) members.applyOwner(session);
    return session;
  };
  return {
    noSession: new HttpError(401, "no_session", "Log in at this site first."),
    loginPath: undefined,
    renew: () => ({}),
    authenticate({ req, isHead }) {
      const identified = identify(req);
      if (typeof identified !== "object" || identified === null) return sessionOf(identified, isHead);
      return Promise.resolve(identified).then((name) => sessionOf(name, isHead));
    },
  };
}

type Awaitable<T> = T | Promise<T>;
type SessionHandler<S> = (request: Request, session: S) => Awaitable<Result>;

/** Answers a request of the member whose name is in the path. A GET has no form fields. */
export type MemberHandler = (request: Request, session: Session, form: Fields) => Awaitable<Result>;

const NOT_YOU = new HttpError(403, "not_you", "You are logged in under another name.");
const FOREIGN = new HttpError(403, "foreign_origin", "This request came from another site.");
const NO_FIELDS = new Fields();

/** Rejects requests that a page of another site made the browser send, with the member's cookie. */
export function sameSite(handler: Handler): Handler {
  return (request) => {
    if (request.isForeign()) throw FOREIGN;
    return handler(request);
  };
}

/** Returns a handler that gets the caller's session, if there is one. With host auth, there must be one. */
export function withSession(auth: Auth, handler: SessionHandler<Session | undefined>): Handler {
  const answer = (request: Request, session: Session | undefined) => {
    if (!session && auth.loginPath === undefined) throw auth.noSession;
    return handler(request, session);
  };
  return (request) => {
    const session = auth.authenticate(request);
    // Without a promise in between, a poll is held in the tick in which it came.
    return session instanceof Promise ? session.then((s) => answer(request, s)) : answer(request, session);
  };
}

/** Returns a handler for a page: callers without a session are sent to the log-in page. @param base the path to the root */
export function withPage(auth: Auth, base: string, handler: SessionHandler<Session>): Handler {
  return withSession(auth, (request, session) => {
    return session ? handler(request, session) : redirect(303, `${base}${auth.loginPath}`);
  });
}

/**
 * Returns a handler for members: the caller needs a session, and `<user>` in the path is its name. Only a member's body is
 * read. The session may end while the body arrives, so it is checked again after that.
 * @param check rejects a member before the body is read
 */
export function withMember(auth: Auth, handler: MemberHandler, check?: (session: Session) => void): Handler {
  return withOwner(auth, (request, session) => {
    if (request.req.method !== "POST") return handler(request, session, NO_FIELDS);
    check?.(session);
    return request.form().then((form) => {
      return withOwner(auth, (_, session) => handler(request, session, form))(request);
    });
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
