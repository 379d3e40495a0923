/**
 * The cursors of plain polls, which bring no `since`. A caller that keeps cookies brings its cursor in one: the cookie
 * came back, so the answer that set it arrived. For other callers, the member's record has the cursor of the last answer.
 */
import { compareIds, type Id } from "../feed/index.js";
import type { Session } from "../store/cluster.js";

/** How often a text is sent again to a caller whose cookie stays the same: three answers with the first one. */
const MAX_REPEATS = 2;

/** Where a plain poll starts. */
export interface LegacyStart {
  readonly cursor: Id;
  /** Whether the text after the cursor was sent before. */
  readonly isRepeat: boolean;
}

/** Where the plain polls of a session are. */
export interface LegacyReader {
  readonly sessionId: string;
  /** Where the session opened the room. Undefined: on another process, or before this one started. */
  readonly opened: Id | undefined;
  /** The cursor of the last answer. */
  cursor: Id;
  /** The cursor from which a text was last sent again, and how often. */
  repeated: Id | undefined;
  repeats: number;
}

/** A member, as far as this file needs one. */
interface LegacyMember {
  legacy: LegacyReader | undefined;
}

/** Opens the room for a session, which then has seen everything up to `lastId`. */
export function openLegacy(member: LegacyMember, { id }: Session, lastId: Id): void {
  member.legacy = newReader(id, lastId, lastId);
}

/**
 * Finds where a session's plain poll starts.
 * @param brought the cursor that the caller's cookie brings
 * @param first where a session starts that this process does not know and that brings no cursor
 */
export function loadLegacy(
  member: LegacyMember,
  { id }: Session,
  brought: Id | undefined,
  first: Id,
): LegacyStart {
  if (member.legacy?.sessionId !== id) member.legacy = newReader(id, undefined, brought ?? first);
  const reader = member.legacy;
  const cursor = later(brought ?? reader.cursor, reader.opened);
  if (compareIds(cursor, reader.cursor) >= 0) {
    reader.cursor = cursor;
    return { cursor, isRepeat: false };
  }
  if (cursor !== reader.repeated) Object.assign(reader, { repeated: cursor, repeats: 0 });
  if (reader.repeats < MAX_REPEATS) return { cursor, isRepeat: true };
  return { cursor: reader.cursor, isRepeat: false };
}

/** Remembers that a text was sent; `cursor` is the id of its message. */
export function advanceLegacy(
  { legacy }: LegacyMember,
  { id }: Session,
  start: LegacyStart,
  cursor: Id,
): void {
  if (legacy?.sessionId !== id) return;
  if (start.isRepeat && start.cursor === legacy.repeated) legacy.repeats++;
  legacy.cursor = later(cursor, legacy.cursor);
}

function newReader(sessionId: string, opened: Id | undefined, cursor: Id): LegacyReader {
  return { sessionId, opened, cursor, repeated: undefined, repeats: 0 };
}

function later(a: Id, b: Id = a): Id {
  return compareIds(a, b) < 0 ? b : a;
}
