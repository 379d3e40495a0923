/**
 * Authentication: by the chat's own log-in, or by the host. A session of the chat is a signed cookie with a name, for as
 * long as its owner does not lose the name.
 */
import type { Fields } from "../http/body.js";
import { sign, unsign } from "../http/cookie.js";
import { RateLimiter } from "../http/rate-limit.js";
import type { Request } from "../http/request.js";
import { type HeaderMap, HttpError, type HttpResponse, html, redirect } from "../http/response.js";
import type { Session } from "../store/store.js";
import type { Identified, Identify, Secrets } from "./options.js";
import type { Pages } from "./pages.js";
import { enterRoom, PLAIN_COOKIE, plainCookie } from "./poll.js";
import type { Room } from "./room.js";
import { type Awaitable, chain, limitRate, randomId, roomPath, toHttpError, unavailable } from "./shared.js";
import { MAX_RAW_NAME_LENGTH, nameKey, parseName } from "./text.js";

const SESSION_COOKIE = "holdline";
/** Shows that the browser keeps cookies. If it keeps none, a log-in would lead back to the form without an explanation. */
const CHECK_COOKIE = "holdline-check";
const DAY_MS = 24 * 3_600_000;
/** How long a session cookie is valid after it was signed. */
const COOKIE_MAX_AGE_MS = 30 * DAY_MS;
/** An older session cookie is signed again. */
const COOKIE_RENEW_AGE_MS = DAY_MS;
/** How long the key of a log-in form is valid. */
const FORM_MAX_AGE_MS = DAY_MS;
/** How many verified cookies are remembered. Forged ones are not, so strangers cannot fill the memory. */
const MAX_VERIFIED = 20_000;

export const NO_SESSION = new HttpError(401, "no_session", "Log in first.");
const NO_COOKIES = new HttpError(403, "cookies_blocked", "Your browser blocks the cookie of the log-in.");
const NAME_TAKEN = new HttpError(409, "name_taken", "That name is taken.");
const NAMES_FULL = unavailable("too_many_waiters", "Too many people are here. Try again soon.", 30);

/** Authenticates requests: by the chat's own cookie, or by the host. */
export type Auth = Pick<Login, "authenticate" | "renew">;

/** Returns host auth: the host names the sender of each request. There is no cookie, and two people may have one name. */
export function hostAuth(identify: Identify): Auth {
  const toError = (rule: string) => new RangeError(`identify returned a name that is not allowed: ${rule}`);
  const toSession = (name: Identified): Session => {
    if (name === undefined || name === null) throw NO_SESSION;
    if (typeof name !== "string") throw toError("A name is a text.");
    return { ...parseName(name, toError), id: "", since: 0 };
  };
  return {
    // There is no cookie to renew.
    renew: () => ({}),
    authenticate({ req }) {
      const name = identify(req);
      return chain(typeof name === "object" && name !== null ? Promise.resolve(name) : name, toSession);
    },
  };
}

/** The content of a cookie. `signedAt`: when it was signed, in milliseconds since the Unix epoch. */
type SignedSession = Session & { readonly signedAt: number };

/** The log-in of the chat. */
export class Login {
  // A poll brings the same cookie as the one before it. An HMAC each time was a fifth of a poll's cost.
  readonly #verified = new Map<string, SignedSession>();
  readonly #rate: RateLimiter;
  /** Called each time, because a store that several processes share learns secrets of other processes. */
  readonly #secrets: () => Secrets;

  constructor(
    private readonly room: Room,
    private readonly pages: Pages,
  ) {
    this.#rate = new RateLimiter(room.options.loginRate);
    this.#secrets = room.options.secrets;
  }

  /** Returns the caller's session, or undefined if there is none that is valid. With host auth, that is a 401 instead. */
  authenticate(request: Request): Awaitable<Session | undefined> {
    const session = this.#read(request);
    return session && chain(this.room.members.owns(session), (owns) => (owns ? session : undefined));
  }

  /**
   * Returns the header that renews the cookie of a session, if it is time. Only for replies at the chat's root: a cookie
   * without a path belongs to the folder of the URL that set it, and the mount path is unknown.
   */
  renew(request: Request, { id }: Session): HeaderMap {
    const signed = this.#read(request);
    if (request.isHead || signed?.id !== id || Date.now() - signed.signedAt < COOKIE_RENEW_AGE_MS) return {};
    return { "Set-Cookie": this.#cookie(signed, request) };
  }

  /** Answers `GET /login` with the form. After an error, it has the reason, the typed name, and the same key. */
  async showForm(request: Request, form?: Fields, error?: HttpError): Promise<HttpResponse> {
    const session = await this.authenticate(request);
    const sent = form?.get("key") ?? "";
    const key = this.#readFormKey(sent) ? sent : sign(`form ${Date.now()} ${randomId()}`, this.#secrets()[0]);
    const name = form?.get("name")?.slice(0, MAX_RAW_NAME_LENGTH);
    const page = this.pages.login(request, key, session?.name, name, error?.code);
    const isChecked = request.isHead || request.cookies(CHECK_COOKIE).length > 0;
    // Until the browser is closed.
    const check = isChecked ? {} : { "Set-Cookie": request.cookieSetter(CHECK_COOKIE)("1") };
    return html(error?.status ?? 200, page, { ...error?.headers, ...check });
  }

  /** Answers `POST /login`. */
  async logIn(request: Request): Promise<HttpResponse> {
    let form: Fields | undefined;
    try {
      limitRate(this.#rate, request.subnet);
      form = await request.form();
      const session = await this.#claim(request, form);
      enterRoom(this.room, session);
      const cursor = plainCookie(request, session).set(this.room.feed.lastId);
      const cookies = [this.#cookie(session, request), cursor];
      return redirect(303, roomPath(session.name), { "Set-Cookie": cookies });
    } catch (failure) {
      const error = toHttpError(failure);
      if (error instanceof HttpError && request.prefersHtml()) return this.showForm(request, form, error);
      throw error;
    }
  }

  /** Answers `POST /logout`. */
  async logOut(request: Request): Promise<HttpResponse> {
    const session = await this.authenticate(request);
    if (session) await this.room.members.logout(session);
    const cookies = [SESSION_COOKIE, PLAIN_COOKIE].map((name) => request.cookieSetter(name)("", 0));
    return redirect(303, "login", { "Set-Cookie": cookies });
  }

  /** Takes the name in a form for a new session. Returns the session that owns it then. */
  async #claim(request: Request, form: Fields): Promise<Session> {
    const name = parseName(form.get("name") ?? "", (rule) => new HttpError(422, "bad_name", rule));
    const formKey = form.get("key");
    // Only our form has a key, and it came with the check cookie.
    const isForm = request.prefersHtml() && formKey !== undefined;
    if (isForm && request.cookies(CHECK_COOKIE).length === 0) throw NO_COOKIES;
    const before = await this.authenticate(request);
    // A log-in under one's own name gets a new session, so a cookie that somebody planted becomes invalid.
    const replaced = before?.key === name.key ? before : undefined;
    // The id starts with that of the form, so if one form is sent twice, any process knows that.
    const id = (this.#readFormKey(formKey ?? "") ?? randomId()) + randomId();
    const session = { name: (replaced ?? name).name, key: name.key, id, since: Date.now() };
    const claimed = await this.room.members.claim(session, replaced?.id);
    if (claimed === "taken") throw NAME_TAKEN;
    if (claimed === "full") throw NAMES_FULL;
    // A browser has one name: the one before is free.
    if (before && !replaced) await this.room.members.logout(before);
    return claimed;
  }

  /**
   * Returns the session of the first cookie that the chat signed in the last thirty days. Another chat of the same host may
   * have a cookie of the same name.
   */
  #read(request: Request): SignedSession | undefined {
    for (const cookie of request.cookies(SESSION_COOKIE)) {
      const session = this.#verified.get(cookie) ?? this.#verify(cookie);
      if (session && Date.now() - session.signedAt <= COOKIE_MAX_AGE_MS) return session;
    }
    return undefined;
  }

  #verify(cookie: string): SignedSession | undefined {
    // The chat also signs the keys of forms, and another version may sign something else.
    const parts = /^([\w-]+) (\d+) (\d+) (.+)$/.exec(unsign(cookie, this.#secrets()) ?? "");
    const [, id = "", since, signedAt, name] = parts ?? [];
    if (name === undefined) return undefined;
    const session = { name, key: nameKey(name), id, since: Number(since), signedAt: Number(signedAt) };
    if (this.#verified.size >= MAX_VERIFIED) this.#verified.clear();
    // A copy: a slice would keep the whole header in memory.
    this.#verified.set(Buffer.from(cookie, "latin1").toString("latin1"), session);
    return session;
  }

  /** Returns the `Set-Cookie` value for a session. */
  #cookie({ name, id, since }: Session, request: Request): string {
    const value = sign(`${id} ${since} ${Date.now()} ${name}`, this.#secrets()[0]);
    return request.cookieSetter(SESSION_COOKIE)(value, COOKIE_MAX_AGE_MS / 1000);
  }

  /** Returns the id of a form, or undefined for an invalid or old key. A session cookie is no key: its text has more parts. */
  #readFormKey(key: string): string | undefined {
    const [, made, id] = /^form (\d+) ([\w-]+)$/.exec(unsign(key, this.#secrets()) ?? "") ?? [];
    return Date.now() - Number(made) <= FORM_MAX_AGE_MS ? id : undefined;
  }
}
