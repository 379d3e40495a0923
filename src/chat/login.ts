/** Logging in and out. */
import { cookieSetter } from "../http/cookie.js";
import type { Fields } from "../http/form.js";
import { clientSubnet, RateLimiter } from "../http/rate-limit.js";
import type { Request } from "../http/request.js";
import { type HeaderMap, HttpError, type HttpResponse, html, redirect } from "../http/response.js";
import type { Session } from "../store/cluster.js";
import { withSession } from "./auth.js";
import { limitRate, roomPath, toHttpError, unavailable } from "./errors.js";
import { LEGACY_COOKIE, legacyCookie } from "./legacy.js";
import type { Pages } from "./pages.js";
import type { Room } from "./room.js";
import { SESSION_COOKIE, type Sessions } from "./sessions.js";
import { MAX_RAW_NAME_LENGTH, parseName } from "./text.js";

/** Shows that the browser keeps cookies: without one, a log-in would lead back to the form without a word. */
const CHECK_COOKIE = "holdline-check";

const NO_COOKIES = new HttpError(403, "cookies_blocked", "Your browser blocks the cookie of the log-in.");
const NAME_TAKEN = new HttpError(409, "name_taken", "That name is taken.");
const NAMES_FULL = unavailable("too_many_waiters", "Too many people are here. Try again soon.", 30);

/** Returns the handlers of `/login` and `/logout`. */
export function loginHandlers(room: Room, sessions: Sessions, pages: Pages) {
  const rate = new RateLimiter(room.options.loginRate);

  async function claim(request: Request, form: Fields): Promise<Session> {
    const name = parseName(form.get("name") ?? "", (rule) => new HttpError(422, "bad_name", rule));
    // Only our form has a key, and it came with the check cookie.
    const isForm = request.prefersHtml() && form.get("key") !== undefined;
    if (isForm && request.cookies(CHECK_COOKIE).length === 0) throw NO_COOKIES;
    const before = await sessions.authenticate(request);
    // A log-in under one's own name gets a new session, so a cookie that somebody planted becomes invalid.
    const replaced = before?.key === name.key ? before : undefined;
    const created = sessions.create(replaced ?? name, form.get("key"));
    const claimed = await room.members.claim(created, replaced?.id);
    if (claimed === "taken") throw NAME_TAKEN;
    if (claimed === "full") throw NAMES_FULL;
    // A browser has one name: the one before is free.
    const former = await sessions.authenticate(request);
    if (former && former.key !== claimed.key) await room.members.logout(former);
    return claimed;
  }

  /** Answers `POST /login`. A browser gets the form again, with the reason, the typed name, and the same key. */
  async function login(request: Request): Promise<HttpResponse> {
    let form: Fields = new Map();
    try {
      limitRate(rate, clientSubnet(request.address));
      form = await request.form();
      const session = await claim(request, form);
      room.enter(session);
      const { lastId } = room.feed;
      const cursor = legacyCookie(request, session, lastId).set(lastId);
      const cookies = [sessions.cookie(session, request), cursor];
      return redirect(303, roomPath(session.name), { "Set-Cookie": cookies });
    } catch (failure) {
      const error = toHttpError(failure);
      if (!(error instanceof HttpError) || !request.prefersHtml()) throw error;
      const typed = { name: (form.get("name") ?? "").slice(0, MAX_RAW_NAME_LENGTH), code: error.code };
      const session = await sessions.authenticate(request);
      const page = pages.login(request, sessions.formKey(form.get("key")), session?.name, typed);
      return html(error.status, page, { ...error.headers, ...checkCookie(request) });
    }
  }

  return {
    login,
    /** Answers `GET /login`. */
    form: withSession(sessions, (request, session) => {
      return html(200, pages.login(request, sessions.formKey(), session?.name), checkCookie(request));
    }),
    /** Answers `POST /logout`. */
    logout: withSession(sessions, async (request, session) => {
      if (session) await room.members.logout(session);
      const cookies = [SESSION_COOKIE, LEGACY_COOKIE].map((name) => cookieSetter(request, name)("", 0));
      return redirect(303, "login", { "Set-Cookie": cookies });
    }),
  };
}

/** Returns the header that sets the check cookie until the browser is closed, if it is not set. */
function checkCookie(request: Request): HeaderMap {
  if (request.isHead || request.cookies(CHECK_COOKIE).length > 0) return {};
  return { "Set-Cookie": cookieSetter(request, CHECK_COOKIE)("1") };
}
