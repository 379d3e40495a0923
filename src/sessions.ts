/** Who is calling: the signed cookie read into a session, and its name checked against the room's register. */
import { randomBytes } from "node:crypto";
import { type Refusal, refuse } from "./http/reply.js";
import type { Request } from "./http/request.js";
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

/** How many cookies are remembered as good. Forged ones are not, so strangers cannot fill this. */
const VERIFIED = 20_000;

/** What is in a cookie: the session, and when it was signed. */
export interface Signed extends Session {
  readonly signedAt: number;
}

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

  /** A new login under a name; it holds nothing yet. */
  create(name: Name): Session {
    return { ...name, id: randomBytes(12).toString("base64url"), since: Date.now() };
  }

  /** The `Set-Cookie` value for a session. */
  cookie({ name, id, since }: Session, request: Request): string {
    const value = sign(JSON.stringify([name, id, since, Date.now()]), this.#secrets[0]);
    return setCookie(request.cookieName(COOKIE), value, { maxAge: MAX_AGE, secure: request.isSecure });
  }

  /**
   * The header that renews a caller's cookie, if it is time. Only for replies at the chat's root: a cookie without a
   * path belongs to the folder it was set in, and we do not know the path we are mounted at.
   */
  renew(request: Request): { readonly "Set-Cookie"?: string } {
    const session = request.isHead ? undefined : this.of(request);
    if (!session || Date.now() - session.signedAt < RENEW_AGE * 1000) return {};
    return { "Set-Cookie": this.cookie(session, request) };
  }

  /** The `Set-Cookie` value that takes the cookie away. */
  noCookie(request: Request): string {
    return setCookie(request.cookieName(COOKIE), "", { maxAge: 0, secure: request.isSecure });
  }

  /** The caller's session, or undefined when there is none, it is not ours, or it has ended. */
  of(request: Request): Signed | undefined {
    // A chat above this one on the same host may have a cookie of the same name.
    const sessions = request
      .cookies(COOKIE)
      .map((cookie) => this.#verified.get(cookie) ?? this.#verify(cookie));
    const session = sessions.find((session) => session !== undefined);
    if (!session || Date.now() - session.signedAt > MAX_AGE * 1000) return undefined;
    const { names } = this.#room.people;
    return (request.isHead ? names.mayHave(session) : names.has(session)) ? session : undefined;
  }

  #verify(cookie: string): Signed | undefined {
    const text = unsign(cookie, this.#secrets);
    const session = text === undefined ? undefined : parse(text);
    if (!session) return undefined;
    if (this.#verified.size >= VERIFIED) this.#verified.clear();
    // A copy: a slice would keep the whole header in memory.
    this.#verified.set(Buffer.from(cookie).toString(), session);
    return session;
  }

  /** The caller's session, which must be that of the path's `<user>`. */
  caller(request: Request): Session | Refusal {
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
