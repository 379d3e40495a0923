/** The chat's own log-in: a session is a signed cookie with a name, for as long as its owner does not lose the name. */
import { cookieSetter, sign, unsign } from "../http/cookie.js";
import type { Fields } from "../http/form.js";
import { clientSubnet, RateLimiter } from "../http/rate-limit.js";
import type { Request } from "../http/request.js";
import { type HeaderMap, HttpError, type HttpResponse, html, redirect } from "../http/response.js";
import type { Session } from "../store/cluster.js";
import { type Auth, type Awaitable, chain } from "./auth.js";
import { limitRate, randomId, roomPath, toHttpError, unavailable } from "./errors.js";
import { LEGACY_COOKIE, legacyCookie } from "./legacy.js";
import type { Pages } from "./pages.js";
import type { Room } from "./room.js";
import { MAX_RAW_NAME_LENGTH, nameKey, parseName } from "./text.js";

const SESSION_COOKIE = "holdline";
/** Shows that the browser keeps cookies: without one, a log-in would lead back to the form without a word. */
const CHECK_COOKIE = "holdline-check";
const DAY_MS = 24 * 3_600_000;
const COOKIE_MAX_AGE_MS = 30 * DAY_MS;
const COOKIE_RENEW_AGE_MS = DAY_MS;
const FORM_MAX_AGE_MS = DAY_MS;
/** How many verified cookies are remembered. Forged ones are not, so strangers cannot fill the memory. */
const MAX_VERIFIED = 20_000;
/** The longest text whose signature is verified. The longest name makes a cookie of less than 400 characters. */
const MAX_SIGNED_LENGTH = 512;
/** How many cookies of our name are verified, in the order of the header: each costs an HMAC for each secret. */
const MAX_COOKIES_TRIED = 8;

const NO_COOKIES = new HttpError(403, "cookies_blocked", "Your browser blocks the cookie of the log-in.");
const NAME_TAKEN = new HttpError(409, "name_taken", "That name is taken.");
const NAMES_FULL = unavailable("too_many_waiters", "Too many people are here. Try again soon.", 30);

/** The content of a cookie. */
interface SignedSession extends Session {
  /** When the cookie was signed, in milliseconds since the Unix epoch. */
  readonly signedAt: number;
}

export class Login implements Auth {
  // A poll brings the same cookie as the one before it. An HMAC each time was a fifth of a poll's cost.
  readonly #verified = new Map<string, SignedSession>();
  readonly #rate: RateLimiter;

  constructor(
    private readonly room: Room,
    private readonly pages: Pages,
  ) {
    this.#rate = new RateLimiter(room.options.loginRate);
  }

  authenticate(request: Request): Awaitable<Session | undefined> {
    return this.#findOwner(this.#read(request));
  }

  // Only at the root: a cookie without a path belongs to the folder of the URL that set it, and the mount path is unknown.
  renew(request: Request, { id }: Session): HeaderMap {
    const signed = this.#read(request).find((session) => session.id === id);
    if (request.isHead || !signed || Date.now() - signed.signedAt < COOKIE_RENEW_AGE_MS) return {};
    return { "Set-Cookie": this.#cookie(signed, request) };
  }

  /** Answers `GET /login` with the form. After an error, it has the reason, the typed name, and the same key. */
  async showForm(request: Request, form?: Fields, error?: HttpError): Promise<HttpResponse> {
    const session = await this.authenticate(request);
    const sent = form?.get("key") ?? "";
    const key = this.#readFormKey(sent) ? sent : this.#sign(`form ${Date.now()} ${randomId()}`);
    const name = form?.get("name")?.slice(0, MAX_RAW_NAME_LENGTH);
    const page = this.pages.login(request, key, session?.name, name, error?.code);
    const isChecked = request.isHead || request.cookies(CHECK_COOKIE).length > 0;
    // Until the browser is closed.
    const check = isChecked ? {} : { "Set-Cookie": cookieSetter(request, CHECK_COOKIE)("1") };
    return html(error?.status ?? 200, page, { ...error?.headers, ...check });
  }

  /** Answers `POST /login`. */
  async logIn(request: Request): Promise<HttpResponse> {
    let form: Fields | undefined;
    try {
      limitRate(this.#rate, clientSubnet(request.address));
      form = await request.form();
      const session = await this.#claim(request, form);
      this.room.enter(session);
      const { lastId } = this.room.feed;
      const cursor = legacyCookie(request, session, lastId).set(lastId);
      return redirect(303, roomPath(session.name), {
        "Set-Cookie": [this.#cookie(session, request), cursor],
      });
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
    const cookies = [SESSION_COOKIE, LEGACY_COOKIE].map((name) => cookieSetter(request, name)("", 0));
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

  /** Returns the first session that is valid. A chat above this one on the same host may have a cookie of the same name. */
  #findOwner(sessions: readonly Session[], at = 0): Awaitable<Session | undefined> {
    const session = sessions[at];
    if (!session) return undefined;
    const owns = this.room.members.owns(session);
    return chain(owns, (owns) => (owns ? session : this.#findOwner(sessions, at + 1)));
  }

  /** Returns the sessions of all cookies that the chat signed in the last thirty days. */
  #read(request: Request): SignedSession[] {
    const sessions: SignedSession[] = [];
    for (const cookie of request.cookies(SESSION_COOKIE).slice(0, MAX_COOKIES_TRIED)) {
      const session = this.#verified.get(cookie) ?? this.#verify(cookie);
      if (session && Date.now() - session.signedAt <= COOKIE_MAX_AGE_MS) sessions.push(session);
    }
    return sessions;
  }

  #verify(cookie: string): SignedSession | undefined {
    // The chat also signs the keys of forms, and another version may sign something else.
    const parts = /^([\w-]+) (\d+) (\d+) (.+)$/.exec(this.#unsign(cookie));
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
    const value = this.#sign(`${id} ${since} ${Date.now()} ${name}`);
    return cookieSetter(request, SESSION_COOKIE)(value, COOKIE_MAX_AGE_MS / 1000);
  }

  /** Returns the id of a form, or undefined for an invalid or old key. A session cookie is no key: its text has more parts. */
  #readFormKey(key: string): string | undefined {
    const [, made, id] = /^form (\d+) ([\w-]+)$/.exec(this.#unsign(key)) ?? [];
    return Date.now() - Number(made) <= FORM_MAX_AGE_MS ? id : undefined;
  }

  #sign(text: string): string {
    return sign(text, this.room.options.secrets()[0]);
  }

  /** Returns the text that the chat signed; empty if it did not. */
  #unsign(signed: string): string {
    return (signed.length <= MAX_SIGNED_LENGTH && unsign(signed, this.room.options.secrets())) || "";
  }
}
