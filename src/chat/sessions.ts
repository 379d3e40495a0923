/** The chat's own log-in: a session is a signed cookie with a name, for as long as its owner does not lose the name. */
import { randomBytes } from "node:crypto";
import { cookieSetter, sign, unsign } from "../http/cookie.js";
import type { Request } from "../http/request.js";
import type { HeaderMap } from "../http/response.js";
import { FORM_ID_LENGTH, type Session } from "../store/cluster.js";
import { type Auth, type Awaitable, chain } from "./auth.js";
import type { Members } from "./members.js";
import type { Secrets } from "./options.js";
import { type Name, nameKey } from "./text.js";

export const SESSION_COOKIE = "holdline";
const DAY_MS = 24 * 3_600_000;
const COOKIE_MAX_AGE_S = (30 * DAY_MS) / 1000;
const COOKIE_RENEW_AGE_MS = DAY_MS;
const FORM_MAX_AGE_MS = DAY_MS;
/** How many verified cookies are remembered. Forged ones are not, so strangers cannot fill the memory. */
const MAX_VERIFIED = 20_000;
/** The longest text whose signature is verified. The longest name makes a cookie of less than 400 characters. */
const MAX_SIGNED_LENGTH = 512;
/** How many cookies of our name are verified, in the order of the header: each costs an HMAC for each secret. */
const MAX_COOKIES_TRIED = 8;

/** The content of a cookie. */
interface SignedSession extends Session {
  /** When the cookie was signed, in milliseconds since the Unix epoch. */
  readonly signedAt: number;
}

export class Sessions implements Auth {
  // A poll brings the same cookie as the one before it. An HMAC each time was a fifth of a poll's cost.
  readonly #verified = new Map<string, SignedSession>();

  /** @param secrets returns the secrets: the first one signs, all are valid */
  constructor(
    readonly members: Members,
    readonly secrets: () => Secrets,
  ) {}

  /**
   * Returns a new session, which owns no name yet. Its id starts with the id of its form, so if one form is sent twice, any
   * process knows that.
   * @param formKey the key of the form that was sent; an invalid one is ignored
   */
  create({ name, key }: Name, formKey = ""): Session {
    return { name, key, id: (this.#readFormKey(formKey) ?? randomId()) + randomId(), since: Date.now() };
  }

  /** Returns the one-time key for a log-in form. @param sent the key of a form that is shown again; it stays if it is valid */
  formKey(sent = ""): string {
    if (this.#readFormKey(sent) !== undefined) return sent;
    return sign(`form ${Date.now()} ${randomId()}`, this.secrets()[0]);
  }

  authenticate(request: Request): Awaitable<Session | undefined> {
    return this.#findOwner(this.#read(request));
  }

  /** Returns the first session that is valid. A chat above this one on the same host may have a cookie of the same name. */
  #findOwner([session, ...others]: readonly Session[]): Awaitable<Session | undefined> {
    return session && chain(this.members.owns(session), (owns) => (owns ? session : this.#findOwner(others)));
  }

  /** Returns the `Set-Cookie` value for a session. */
  cookie({ name, id, since }: Session, request: Request): string {
    const value = sign(`${id} ${since} ${Date.now()} ${name}`, this.secrets()[0]);
    return cookieSetter(request, SESSION_COOKIE)(value, COOKIE_MAX_AGE_S);
  }

  // Only at the root: a cookie without a path belongs to the folder of the URL that set it, and the mount path is unknown.
  renew(request: Request, { id }: Session): HeaderMap {
    const signed = this.#read(request).find((session) => session.id === id);
    if (request.isHead || !signed || Date.now() - signed.signedAt < COOKIE_RENEW_AGE_MS) return {};
    return { "Set-Cookie": this.cookie(signed, request) };
  }

  /** Returns the sessions of all cookies that the chat signed in the last thirty days. */
  #read(request: Request): SignedSession[] {
    const cookies = request.cookies(SESSION_COOKIE).slice(0, MAX_COOKIES_TRIED);
    const sessions = cookies.flatMap((cookie) => this.#verified.get(cookie) ?? this.#verify(cookie) ?? []);
    return sessions.filter(({ signedAt }) => Date.now() - signedAt <= COOKIE_MAX_AGE_S * 1000);
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

  /** Returns the id of a form, or undefined for an invalid or old key. A session cookie is no key: its text has more parts. */
  #readFormKey(key: string): string | undefined {
    const [, made, id] = /^form (\d+) ([\w-]+)$/.exec(this.#unsign(key)) ?? [];
    return Date.now() - Number(made) <= FORM_MAX_AGE_MS ? id : undefined;
  }

  /** Returns the text that the chat signed; empty if it did not. */
  #unsign(signed: string): string {
    return (signed.length <= MAX_SIGNED_LENGTH && unsign(signed, this.secrets())) || "";
  }
}

/** Returns `FORM_ID_LENGTH` random characters: 96 bits in base64url. */
export function randomId(): string {
  return randomBytes((FORM_ID_LENGTH / 4) * 3).toString("base64url");
}
