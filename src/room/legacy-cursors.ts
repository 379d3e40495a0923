/**
 * The cursors of plain polls, which bring no `since`. A caller that keeps cookies brings its cursor in one: the cookie
 * came back, so the answer that set it arrived. For other callers, this remembers the cursor of the last answer.
 */
import { compareIds, type Id } from "../store/id.js";
import type { Backlog } from "./backlog.js";
import type { Session } from "./names.js";

/** How often a text is sent again to a caller whose cookie stays the same: three answers with the first one. */
const MAX_REPEATS = 2;

/** Where a plain poll starts. */
export interface Start {
  readonly cursor: Id;
  /** Whether the text after the cursor was sent before. */
  readonly isRepeat: boolean;
}

interface Reader {
  /** The session's id. */
  readonly id: string;
  /** Where the session opened the room. Undefined: on another process, or before this one started. */
  readonly opened: Id | undefined;
  /** The cursor of the last answer. */
  cursor: Id;
  /** The cursor from which a text was last sent again, and how often. */
  repeated: Id | undefined;
  repeats: number;
}

export class LegacyCursors {
  readonly #readers = new Map<string, Reader>();
  readonly #backlog: Pick<Backlog, "end" | "isFuture">;
  readonly #start: Id;

  constructor(backlog: Pick<Backlog, "end" | "isFuture">) {
    this.#backlog = backlog;
    this.#start = backlog.end;
  }

  /** Opens the room for a session, which then has seen everything. Returns the cursor. */
  open({ name, id }: Session): Id {
    const { end } = this.#backlog;
    this.#readers.set(name, readerOf(id, end, end));
    return end;
  }

  /**
   * Finds where a session's plain poll starts.
   * @param cookie the cursor that the caller brings
   */
  load(session: Session, cookie?: Id): Start {
    const known = this.#readers.get(session.name);
    const brought = cookie !== undefined && !this.#backlog.isFuture(cookie) ? cookie : undefined;
    const reader =
      known?.id === session.id ? known : readerOf(session.id, undefined, brought ?? this.#startOf(session));
    this.#readers.set(session.name, reader);
    const cursor = later(brought ?? reader.cursor, reader.opened);
    if (compareIds(cursor, reader.cursor) >= 0) {
      reader.cursor = cursor;
      return { cursor, isRepeat: false };
    }
    if (cursor !== reader.repeated) Object.assign(reader, { repeated: cursor, repeats: 0 });
    if (reader.repeats < MAX_REPEATS) return { cursor, isRepeat: true };
    return { cursor: reader.cursor, isRepeat: false };
  }

  /** Remembers that a text was sent to the session; `cursor` is the id of its message. */
  advance({ name, id }: Session, start: Start, cursor: Id): void {
    const reader = this.#readers.get(name);
    if (reader?.id !== id) return;
    if (start.isRepeat && start.cursor === reader.repeated) reader.repeats++;
    reader.cursor = later(cursor, reader.cursor);
  }

  /** Forgets a user. */
  close(user: string): void {
    this.#readers.delete(user);
  }

  /** Where a caller without a cookie starts whose session is not known here: at its log-in, if this process ran then. */
  #startOf({ since }: Session): Id {
    const { end } = this.#backlog;
    // A message of the same millisecond may be later than the log-in.
    const login: Id = `${Math.max(since - 1, 0)}-0`;
    return compareIds(login, end) > 0 ? end : later(login, this.#start);
  }
}

function readerOf(id: string, opened: Id | undefined, cursor: Id): Reader {
  return { id, opened, cursor, repeated: undefined, repeats: 0 };
}

function later(a: Id, b: Id = a): Id {
  return compareIds(a, b) < 0 ? b : a;
}
