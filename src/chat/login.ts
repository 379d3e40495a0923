/** Logging in and out. */
import { cookieSetter } from "../http/cookie.js";
import type { Fields } from "../http/form.js";
import { clientSubnet, RateLimiter } from "../http/rate-limit.js";
import type { Request } from "../http/request.js";
import { HttpError, type HttpResponse, html, redirect } from "../http/response.js";
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

  /** Returns the page with the form. After an error it has the reason, the typed name, and the same key. */
  async function showForm(request: Request, form?: Fields, error?: HttpError): Promise<HttpResponse> {
    const session = await sessions.authenticate(request);
    const key = sessions.formKey(form?.get("key"));
    const name = form?.get("name")?.slice(0, MAX_RAW_NAME_LENGTH);
    const page = pages.login(request, key, session?.name, name, error?.code);
    const isChecked = request.isHead || request.cookies(CHECK_COOKIE).length > 0;
    // Until the browser is closed.
    const check = isChecked ? {} : { "Set-Cookie": cookieSetter(request, CHECK_COOKIE)("1") };
    return html(error?.status ?? 200, page, { ...error?.headers, ...check });
  }

  async function claim(request: Request, form: Fields): Promise<Session> {
    const name = parseName(form.get("name") ?? "", (rule) => new HttpError(422, "bad_name", rule));
    // Only our form has a key, and it came with the check cookie.
    const isForm = request.prefersHtml() && form.get("key") !== undefined;
    if (isForm && request.cookies(CHECK_COOKIE).length === 0) throw NO_COOKIES;
    const before = await sessions.authenticate(request);
    // A log-in under one's own name gets a new session, so a cookie that somebody planted becomes invalid.
    const replaced = before?.key === name.key ? before : undefined;
    const claimed = await room.members.claim(
      sessions.create(replaced ?? name, form.get("key")),
      replaced?.id,
    );
    if (claimed === "taken") throw NAME_TAKEN;
    if (claimed === "full") throw NAMES_FULL;
    // A browser has one name: the one before is free.
    if (before && !replaced) await room.members.logout(before);
    return claimed;
  }

  /** Answers `POST /login`. */
  async function login(request: Request): Promise<HttpResponse> {
    let form: Fields | undefined;
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
      if (error instanceof HttpError && request.prefersHtml()) return showForm(request, form, error);
      throw error;
    }
  }

  return {
    login,
    /** Answers `GET /login`. */
    form: (request: Request) => showForm(request),
    /** Answers `POST /logout`. */
    logout: withSession(sessions, async (request, session) => {
      if (session) await room.members.logout(session);
      const cookies = [SESSION_COOKIE, LEGACY_COOKIE].map((name) => cookieSetter(request, name)("", 0));
      return redirect(303, "login", { "Set-Cookie": cookies });
    }),
  };
}
