/** Who is calling: the signed cookie read into a session, and its name checked against the room's register. */
import { makeFormKey, randomId, readFormKey } from "./form-key.js";
import { Fields } from "./http/form.js";
import { isRefusal, type Refusal, refuse } from "./http/reply.js";
import type { Request } from "./http/request.js";
import type { Handler } from "./http/router.js";
import { setCookie, sign, unsign } from "./http/session.js";
import type { Secrets } from "./options.js";
import type { Session } from "./room/names.js";
import type { Room } from "./room/room.js";
import { type Name, nameKey } from "./room/text.js";

const COOKIE = "holdline";
/** How long a cookie is good, in seconds: thirty days. */
const MAX_AGE = 30 * 24 * 3600;
/** A cookie older than this is renewed when there is an occasion, in seconds: a day. */
const RENEW_AGE = 24 * 3600;

/** So many `Cookie` headers are remembered as good. Forged ones are not, so strangers cannot fill this. */
const VERIFIED = 20_000;
/** Longer ones are not remembered: what else is in the header is up to the caller. */
const VERIFIED_LENGTH = 512;
/** The longest cookie that is verified; the longest name makes one of less than 400 characters. */
const COOKIE_LENGTH = 512;
/** How many cookies with our name are verified, in the order of the header: each costs a signature for each secret. */
const COOKIES_TRIED = 8;

const NO_FIELDS = new Fields();

/** What is in a cookie: the session, and when it was signed. */
export interface Signed extends Session {
  readonly signedAt: number;
}

/**
 * Answers a request of the member whose name is in its path.
 * @param form the fields of the body; none for a GET
 */
export type MemberHandler = (request: Request, session: Session, form: Fields) => ReturnType<Handler>;

export class Sessions {
  readonly #room: Room;
  readonly #secrets: Secrets;
  // A poll comes with the same cookie as the last one; an HMAC each time is a fifth of a poll's cost.
  readonly #verified = new Map<string, Signed>();

  /** @param secrets the first one signs, all are good */
  constructor(room: Room, secrets: Secrets) {
    this.#room = room;
    this.#secrets = secrets;
  }

  /**
   * A new login under a name; it holds nothing yet.
   * @param formKey the key of the form that was sent; one that is not ours counts for nothing
   */
  create({ name, key }: Name, formKey = ""): Session {
    const form = readFormKey(formKey, this.#secrets) ?? randomId();
    return { name, key, id: form + randomId(), since: Date.now() };
  }

  /** The key for a log-in form. @param sent that of the form that is shown again, which stays if it is good */
  formKey(sent = ""): string {
    return readFormKey(sent, this.#secrets) === undefined ? makeFormKey(this.#secrets) : sent;
  }

  /** The `Set-Cookie` value for a session. */
  cookie({ name, id, since }: Session, request: Request): string {
    const value = sign(JSON.stringify([name, id, since, Date.now()]), this.#secrets[0]);
    return setCookie(COOKIE, value, { maxAge: MAX_AGE, secure: request.isSecure });
  }

  /**
   * The header that renews a caller's cookie, if it is time. Only for replies at the chat's root: a cookie without a
   * path belongs to the folder it was set in, and we do not know the path we are mounted at.
   */
  renew(request: Request): { readonly "Set-Cookie"?: string } {
    const session = this.of(request);
    if (!session || Date.now() - session.signedAt < RENEW_AGE * 1000) return {};
    return { "Set-Cookie": this.cookie(session, request) };
  }

  /** The `Set-Cookie` value that takes the cookie away. */
  noCookie(request: Request): string {
    return setCookie(COOKIE, "", { maxAge: 0, secure: request.isSecure });
  }

  /** The caller's session, or undefined when there is none, it is not ours, or it has ended. */
  of(request: Request): Signed | undefined {
    const header = request.req.headers.cookie;
    if (header === undefined) return undefined;
    const session = this.#verified.get(header) ?? this.#verify(header, request);
    if (!session || Date.now() - session.signedAt > MAX_AGE * 1000) return undefined;
    return this.#room.people.names.has(session) ? session : undefined;
  }

  #verify(header: string, request: Request): Signed | undefined {
    // A chat above this one on the same host may have a cookie of the same name.
    const text = request
      .cookies(COOKIE)
      .filter(({ length }) => length <= COOKIE_LENGTH)
      .slice(0, COOKIES_TRIED)
      .map((cookie) => unsign(cookie, this.#secrets))
      .find((text) => text !== undefined);
    const session = text === undefined ? undefined : parse(text);
    if (!session) return undefined;
    if (this.#verified.size >= VERIFIED) this.#verified.clear();
    if (header.length <= VERIFIED_LENGTH) this.#verified.set(header, session);
    return session;
  }

  /** Wraps a handler so that `of` knows the caller when it runs. A cookie says who it is by itself. */
  authenticate(handler: Handler): Handler {
    return handler;
  }

  /**
   * Makes a handler for members: it runs if the caller has a session and the path's `<user>` is its name.
   * The body of a stranger is not read. A session may end while a body arrives, so it is checked again after that.
   * @param check refuses a member before the body is read
   */
  member(handler: MemberHandler, check?: (session: Session) => Refusal | undefined): Handler {
    const answer = (request: Request, form: Fields) => {
      const session = this.#caller(request);
      return "code" in session ? session : handler(request, session, form);
    };
    return this.authenticate((request) => {
      if (request.req.method !== "POST") return answer(request, NO_FIELDS);
      const session = this.#caller(request);
      const refusal = "code" in session ? session : check?.(session);
      if (refusal) return refusal;
      return request.form().then((form) => {
        if (!form || isRefusal(form)) return form;
        return this.authenticate(() => answer(request, form))(request);
      });
    });
  }

  /** The caller's session, which must be that of the path's `<user>`. */
  #caller(request: Request): Session | Refusal {
    const session = this.of(request);
    if (!session) return refuse(401, "no_session", "Log in first.");
    const { user = "" } = request.params;
    if (user !== session.name && nameKey(user) !== session.key) {
      return refuse(403, "not_you", "You are logged in under another name.");
    }
    return session;
  }
}

function parse(text: string): Signed | undefined {
  // We signed it, but perhaps in another version.
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const [name, id, since, signedAt] = Array.isArray(value) ? (value as unknown[]) : [];
  if (typeof name !== "string" || typeof id !== "string") return undefined;
  if (typeof since !== "number" || typeof signedAt !== "number") return undefined;
  return { name, key: nameKey(name), id, since, signedAt };
}
