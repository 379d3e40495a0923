/**
 * The cursors of plain polls, which bring no `since`. A caller that keeps cookies brings its cursor in one, and since it
 * comes back, the answer that set it arrived. For other callers, the process remembers the cursor of the last answer.
 */
import { compareIds, type Id, isId } from "../feed/index.js";
import { cookieSetter } from "../http/cookie.js";
import type { Request } from "../http/request.js";
import type { Session } from "../store/cluster.js";
import { hash } from "./errors.js";

/** How often a text is sent again while the caller's cookie stays the same: three answers with the first one. */
const MAX_REPEATS = 2;
export const LEGACY_COOKIE = "holdline-plain";

/** Where the plain polls of one session are. */
export class LegacyReader {
  #repeated: Id | undefined;
  #repeats = 0;

  /**
   * @param cursor the cursor of the last answer
   * @param opened where the session opened the room; undefined if it did so on another process or before a restart
   */
  constructor(
    readonly sessionId: string,
    public cursor: Id,
    readonly opened?: Id,
  ) {}

  /** Returns where the next poll starts. @param brought the cursor in the caller's cookie */
  start(brought: Id | undefined): Id {
    const start = later(brought ?? this.cursor, this.opened);
    if (compareIds(start, this.cursor) >= 0) {
      this.cursor = start;
    } else if (start !== this.#repeated) {
      this.#repeated = start;
      this.#repeats = 0;
    }
    return this.#repeats < MAX_REPEATS ? start : this.cursor;
  }

  /** Remembers that a text was sent. @param start where its poll started @param id the id of its message */
  sent(start: Id, id: Id): void {
    if (start === this.#repeated) this.#repeats++;
    this.cursor = later(id, this.cursor);
  }
}

/**
 * Reads the cookie of a plain poll: `<session>.<cursor>`, without `Max-Age`. It is not signed, because a caller may read
 * from any cursor. It has no path, so it belongs to the chat's root, or to `get_post/`.
 * - `brought`: the cursor that the caller brings for this session, if there is one that is not in the future.
 * - `set`: returns the `Set-Cookie` value for a cursor.
 */
export function legacyCookie(request: Request, { id, key }: Session, lastId: Id) {
  // With the name, because behind a host's log-in all sessions have one id.
  const prefix = `${hash(`${id} ${key}`)}.`;
  const setter = cookieSetter(request, LEGACY_COOKIE);
  // The cookie of the last poll comes before that of the log-in, because its path is longer (RFC 6265, section 5.4).
  const brought = request
    .cookies(LEGACY_COOKIE)
    .filter((value) => value.startsWith(prefix))
    // A copy: a slice would keep the whole header in memory.
    .map((value) => Buffer.from(value, "latin1").toString("latin1", prefix.length))
    .filter(isId)
    .find((cursor) => compareIds(cursor, lastId) <= 0);
  return { brought, set: (cursor: Id) => setter(prefix + cursor) };
}

/** Returns the later one of two ids. */
function later(a: Id, b: Id = a): Id {
  return compareIds(a, b) < 0 ? b : a;
}
