/** Our own log-in: a session is a signed cookie, and a name that its owner has not lost since. */

import { setCookie, sign, unsign } from "../http/cookie.js";
import type { Request } from "../http/request.js";
import { HttpError } from "../http/response.js";
import type { Session } from "../store/cluster.js";
import { isStoreUnavailable } from "../store/store.js";
import type { Auth } from "./auth.js";
import { unavailable } from "./errors.js";
import { makeFormKey, randomId, readFormKey } from "./form-key.js";
import type { Members } from "./members.js";
import type { Secrets } from "./options.js";
import { type Name, nameKey } from "./text.js";

const COOKIE = "holdline";
/** How long a cookie is valid: thirty days. */
const MAX_AGE_S = 30 * 24 * 3600;
/** A cookie that is older is renewed on occasion: a day. */
const RENEW_AGE_S = 24 * 3600;
/** How many verified cookies are remembered. Forged ones are not, so strangers cannot fill this. */
const MAX_VERIFIED = 20_000;
/** The longest cookie that is verified; the longest name makes one of less than 400 characters. */
const MAX_COOKIE_LENGTH = 512;
/** How many cookies of our name are verified, in the order of the header: each costs a signature for each secret. */
const MAX_COOKIES_TRIED = 8;

const NO_STORE = unavailable("store_unavailable", "Your session cannot be checked now. Try again soon.");

/** What a cookie holds. */
interface SignedSession extends Session {
  /** When the cookie was signed, in milliseconds since the Unix epoch. */
  readonly signedAt: number;
}

export class Sessions implements Auth {
  readonly noSession = new HttpError(401, "no_session", "Log in first.");
  readonly loginPath = "login";
  readonly #members: Members;
  readonly #secrets: () => Secrets;
  // A poll brings the same cookie as the one before it; an HMAC each time was a fifth of a poll's cost.
  readonly #verified = new Map<string, SignedSession>();

  /** @param secrets returns the secrets: the first one signs, all are valid */
  constructor(members: Members, secrets: () => Secrets) {
    this.#members = members;
    this.#secrets = secrets;
  }

  /**
   * Makes a new session; it owns nothing yet.
   * @param formKey the key of the form that was sent; one that is not ours counts for nothing
   */
  create({ name, key }: Name, formKey = ""): Session {
    const form = readFormKey(formKey, this.#secrets()) ?? randomId();
    return { name, key, id: form + randomId(), since: Date.now() };
  }

  /** Returns the key for a log-in form. @param sent that of a form that is shown again, which stays if it is valid */
  formKey(sent = ""): string {
    return readFormKey(sent, this.#secrets()) === undefined ? makeFormKey(this.#secrets()) : sent;
  }

  authenticate(request: Request): Session | undefined | Promise<Session | undefined> {
    const session = this.#read(request);
    if (!session) return undefined;
    if (request.isHead) return this.#members.mayOwn(session) ? session : undefined;
    const owns = this.#members.owns(session);
    if (typeof owns === "boolean") return owns ? session : undefined;
    return owns.then(
      (owns) => (owns ? session : undefined),
      (error: unknown) => {
        throw isStoreUnavailable(error) ? NO_STORE : error;
      },
    );
  }

  /** Returns the `Set-Cookie` value for a session. */
  cookie({ name, id, since }: Session, request: Request): string {
    const value = sign(JSON.stringify([name, id, since, Date.now()]), this.#secrets()[0]);
    return setCookie(request.cookieName(COOKIE), value, { maxAge: MAX_AGE_S, secure: request.isSecure });
  }

  // Only at the root: a cookie without a path belongs to the folder of the URL that set it, and the mount path is unknown.
  renew(request: Request): { readonly "Set-Cookie"?: string } {
    const signed = this.#read(request);
    if (request.isHead || !signed || Date.now() - signed.signedAt < RENEW_AGE_S * 1000) return {};
    return { "Set-Cookie": this.cookie(signed, request) };
  }

  /** Returns the `Set-Cookie` value that removes the cookie. */
  noCookie(request: Request): string {
    return setCookie(request.cookieName(COOKIE), "", { maxAge: 0, secure: request.isSecure });
  }

  /** Returns the session of the first cookie that we signed and that is not too old. */
  #read(request: Request): SignedSession | undefined {
    // A chat above this one on the same host may have a cookie of the same name.
    const cookies = request.cookies(COOKIE).slice(0, MAX_COOKIES_TRIED);
    for (const cookie of cookies) {
      const session = this.#verified.get(cookie) ?? this.#verify(cookie);
      if (session) return Date.now() - session.signedAt > MAX_AGE_S * 1000 ? undefined : session;
    }
    return undefined;
  }

  #verify(cookie: string): SignedSession | undefined {
    const text = cookie.length <= MAX_COOKIE_LENGTH ? unsign(cookie, this.#secrets()) : undefined;
    const session = text === undefined ? undefined : parse(text);
    if (!session) return undefined;
    if (this.#verified.size >= MAX_VERIFIED) this.#verified.clear();
    // A copy: a slice would keep the whole header in memory.
    this.#verified.set(Buffer.from(cookie, "latin1").toString("latin1"), session);
    return session;
  }
}

/** Reads what we signed; another version may have signed something else. */
function parse(text: string): SignedSession | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const [name, id, since, signedAt]: unknown[] = Array.isArray(value) ? value : [];
  if (typeof name !== "string" || typeof id !== "string") return undefined;
  if (typeof since !== "number" || typeof signedAt !== "number") return undefined;
  return { name, key: nameKey(name), id, since, signedAt };
}
