/** Who is calling: the signed cookie read into a session, and its name checked against the room's register. */
import { randomBytes } from "node:crypto";
import { type Refusal, refuse } from "./http/reply.js";
import type { Request } from "./http/request.js";
import { setCookie, sign, unsign } from "./http/session.js";
import { type Name, nameKey, type Session } from "./room/names.js";
import type { Room } from "./room/room.js";

const COOKIE = "holdline";
/** How long a login lasts, in seconds: thirty days. */
const MAX_AGE = 30 * 24 * 3600;

export class Sessions {
  readonly #room: Room;
  readonly #secrets: readonly [string | Buffer, ...(string | Buffer)[]];

  /** @param secrets the first one signs, all are good */
  constructor(room: Room, secrets: readonly [string | Buffer, ...(string | Buffer)[]]) {
    this.#room = room;
    this.#secrets = secrets;
  }

  /** A new login under a name; it holds nothing yet. */
  create(name: Name): Session {
    return { ...name, id: randomBytes(12).toString("base64url"), since: Date.now() };
  }

  /** The `Set-Cookie` value for a session. */
  cookie(session: Session, request: Request): string {
    const value = sign(JSON.stringify([session.name, session.id, session.since]), this.#secrets[0]);
    return setCookie(COOKIE, value, { maxAge: MAX_AGE, secure: request.isSecure });
  }

  /** The `Set-Cookie` value that takes the cookie away. */
  noCookie(request: Request): string {
    return setCookie(COOKIE, "", { maxAge: 0, secure: request.isSecure });
  }

  /** The caller's session, or undefined when there is none, it is not ours, or it has ended. */
  of(request: Request): Session | undefined {
    const cookie = request.cookie(COOKIE);
    const text = cookie === undefined ? undefined : unsign(cookie, this.#secrets);
    const session = text === undefined ? undefined : parse(text);
    return session && this.#room.names.has(session) ? session : undefined;
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

function parse(text: string): Session | undefined {
  // We signed it, but perhaps in another version.
  const [name, id, since] = [...asArray(JSON.parse(text))];
  if (typeof name !== "string" || typeof id !== "string" || typeof since !== "number") return undefined;
  if (Date.now() - since > MAX_AGE * 1000) return undefined;
  return { name, key: nameKey(name), id, since };
}

function asArray(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
