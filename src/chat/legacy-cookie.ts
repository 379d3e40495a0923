/**
 * The cookie of plain polls: `<session>.<cursor>`, without `Max-Age`. It is not signed, since a caller may read from any
 * cursor. Without a path it belongs to the folder of the URL that set it: the chat's root, or `get_post/`.
 */
import { createHash } from "node:crypto";
import { type Id, isId } from "../feed/index.js";
import { setCookie } from "../http/cookie.js";
import type { Request } from "../http/request.js";
import type { Session } from "../store/cluster.js";

const COOKIE = "holdline-plain";
/** How many characters of the hash identify a session; each is six bits. */
const MARK_LENGTH = 12;

export class LegacyCookie {
  /** The cursor that the session brings. Undefined: none, or only foreign and malformed ones. */
  readonly cursor: Id | undefined;
  readonly #name: string;
  readonly #prefix: string;
  readonly #isSecure: boolean;

  constructor(request: Request, { id, key }: Session) {
    // With the name, since behind a host's log-in all sessions have one id.
    const hash = createHash("sha256").update(`${id} ${key}`).digest("base64url");
    this.#prefix = `${hash.slice(0, MARK_LENGTH)}.`;
    this.#isSecure = request.isSecure;
    this.#name = request.cookieName(COOKIE);
    // The log-in's cookie comes behind that of the last poll, whose path is longer (RFC 6265, 5.4).
    this.cursor = request
      .cookies(COOKIE)
      .filter((value) => value.startsWith(this.#prefix))
      // A copy: a slice would keep the whole header in memory.
      .map((value) => Buffer.from(value, "latin1").toString("latin1", this.#prefix.length))
      .find(isId);
  }

  /** Returns the `Set-Cookie` value for a cursor. */
  set(cursor: Id): string {
    return setCookie(this.#name, this.#prefix + cursor, { secure: this.#isSecure });
  }
}

/** Returns the `Set-Cookie` value that removes the cookie of the chat's root. */
export function noLegacyCookie(request: Request): string {
  return setCookie(request.cookieName(COOKIE), "", { maxAge: 0, secure: request.isSecure });
}
