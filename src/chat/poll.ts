/**
 * The long poll over HTTP. With `since` the caller brings a cursor and gets a batch. Without, it is a plain poll, whose
 * cursor is a cookie and whose answer is one text. When the connection closes, the poll ends and no cursor moves.
 */
import type { ServerResponse } from "node:http";
import type { Batch, FinishReason, Id, PollQuery } from "../feed/index.js";
import { compareIds, isId, sendJson, Waiter } from "../feed/index.js";
import type { Request } from "../http/request.js";
import { DEFERRED, type Result } from "../http/response.js";
import type { Message, Session } from "../store/store.js";
import type { Member } from "./presence.js";
import type { Room } from "./room.js";
import { clientOf, hash } from "./shared.js";
import { nameKey } from "./text.js";

/** A poll with `since`: it is answered with a batch. */
export class Poll extends Waiter<Message> {
  readonly member: Member;
  readonly res: ServerResponse;

  constructor(
    readonly room: Room,
    { res, wasQueued }: Request,
    { key, name }: Session,
    { cursor, wait, client }: PollQuery,
  ) {
    super();
    this.member = room.members.get(key, name);
    this.res = res;
    this.cursor = cursor;
    // Other requests may be queued behind a pipelined one (protocol.md).
    this.wait = wasQueued ? 0 : wait;
    if (client !== undefined) this.client = clientOf(client, key);
  }

  /** Hands the poll to the room. Throws a 503 if too many polls are held. */
  start(): Result {
    const { room, res } = this;
    room.poll(this);
    const disconnect = () => room.feed.cancel(this, "disconnected");
    // A connection that closed while the body was read does not say so again.
    if (res.destroyed) disconnect();
    else if (this.slot) res.on("close", disconnect);
    return DEFERRED;
  }

  override finished(reason: FinishReason): void {
    this.room.members.removePoll(this);
    if (reason === "disconnected") this.room.metrics.polls.disconnected++;
  }

  answer(batch: Batch<Message>, body: string | Buffer, reason: FinishReason): void {
    if (reason === "events" && !this.hasNews(batch)) {
      // The caller does not wait for these events, so the poll is held again, for the rest of its time.
      this.cursor = batch.cursor;
      this.wait = Math.max(1, this.end - performance.now());
      this.room.poll(this);
      return;
    }
    this.room.metrics.polls[this.wait <= 0 && reason === "timeout" ? "immediate" : reason]++;
    this.send(batch, body);
  }

  override failed(): void {
    this.res.destroy();
  }

  /** Returns whether a batch answers the poll. A member's own join notice does not. */
  protected hasNews({ events, gap }: Batch<Message>): boolean {
    return (
      gap === true || events.some(({ kind, user }) => kind !== "join" || nameKey(user) !== this.member.key)
    );
  }

  /** Sends the reply. Returns whether the connection was open. */
  protected send(_batch: Batch<Message>, body: string | Buffer): boolean {
    const { room, res } = this;
    if (room.draining) res.shouldKeepAlive = false;
    return sendJson(res, 200, body);
  }
}

/** How long a plain poll waits, in milliseconds. */
const PLAIN_WAIT_MS = 10_000;
/** How often a caller that brings the same cookie each time is answered with a text. */
const MAX_REPLIES = 3;
export const PLAIN_COOKIE = "holdline-plain";

/**
 * The position of the plain polls of one session. A caller that keeps cookies brings its cursor in one. A cookie that comes
 * back proves that its answer arrived. For other callers, the process remembers the cursor of the last answer.
 */
interface PlainPosition {
  readonly sessionId: string;
  /** Where the session opened the room; `"0-0"` if it did so on another process or before a restart. */
  readonly opened: Id;
  /** The cursor of the last answer. */
  readonly cursor: Id;
  /** The cursor that the caller brought last, and how often it was answered with a text. */
  readonly brought?: Id | undefined;
  readonly replies: number;
}

// Forgotten with the record of the member.
const positions = new WeakMap<Member, PlainPosition>();

/** Opens the room for a session: its plain polls start after the newest message. */
export function enterRoom({ members, feed }: Room, { key, name, id }: Session): Member {
  const member = members.get(key, name);
  positions.set(member, { sessionId: id, opened: feed.lastId, cursor: feed.lastId, replies: 0 });
  return member;
}

/** Returns where a session's plain polls are. A session that is new here starts after its log-in and after our start. */
function positionOf({ members, feed, startedAt }: Room, { key, name, id, since }: Session): PlainPosition {
  const known = positions.get(members.get(key, name));
  if (known?.sessionId === id) return known;
  const [before] = feed.readBefore(`${Math.max(since, startedAt)}-0`, 1).events;
  return { sessionId: id, opened: "0-0", cursor: before?.id ?? feed.lastPrunedId, replies: 0 };
}

/** A poll without `since`: it is answered with one text, or with `""` at the end of the wait. */
export class PlainPoll extends Poll {
  readonly #brought: Id | undefined;
  readonly #setCookie: (cursor: Id) => string;

  constructor(
    room: Room,
    request: Request,
    private readonly session: Session,
  ) {
    const { brought, set } = plainCookie(request, session);
    const { opened, cursor, ...last } = positionOf(room, session);
    const isRepeated = brought === last.brought && last.replies >= MAX_REPLIES;
    // A cursor after `lastId` is of another history, or of a process of the same store that is ahead; then it has no gap.
    const isFuture = brought && compareIds(brought, room.feed.lastId) > 0 && room.feed.read(brought).gap;
    const start = !brought || isRepeated || isFuture ? cursor : later(brought, opened);
    super(room, request, session, { cursor: start, wait: PLAIN_WAIT_MS, client: undefined });
    this.#brought = brought;
    this.#setCookie = set;
  }

  /** Returns whether a batch has a text. Notices do not answer a plain poll. */
  protected override hasNews({ events }: Batch<Message>): boolean {
    return events.some(({ kind }) => kind === undefined);
  }

  protected override send(batch: Batch<Message>): boolean {
    const message = batch.events.find(({ kind }) => kind === undefined);
    const text = `${JSON.stringify(message?.text ?? "")}\n`;
    if (!this.res.headersSent) this.res.setHeader("Set-Cookie", this.#setCookie(message?.id ?? batch.cursor));
    const isSent = super.send(batch, text);
    if (isSent && message) {
      const brought = this.#brought;
      const last = positionOf(this.room, this.session);
      const replies = brought === last.brought ? last.replies + 1 : 1;
      const cursor = later(last.cursor, message.id);
      // Other callers of the session may bring no cookie.
      positions.set(this.member, { ...last, cursor, ...(brought && { brought, replies }) });
    }
    return isSent;
  }
}

/**
 * Reads the cookie of a plain poll: `<session>.<cursor>`, without `Max-Age`. It is not signed, because a caller may read
 * from any cursor. It has no path, so it belongs to the chat's root, or to `get_post/`.
 * - `brought`: the cursor that the caller brings for this session, if any.
 * - `set`: returns the `Set-Cookie` value for a cursor.
 */
export function plainCookie(request: Request, { id, key }: Session) {
  // With the name, because behind a host's log-in all sessions have one id.
  const prefix = `${hash(`${id} ${key}`)}.`;
  const setter = request.cookieSetter(PLAIN_COOKIE);
  // The cookie of the last poll comes before that of the log-in, because its path is longer (RFC 6265, section 5.4).
  const brought = request
    .cookies(PLAIN_COOKIE)
    .filter((value) => value.startsWith(prefix))
    // A copy: a slice would keep the whole header in memory.
    .map((value) => Buffer.from(value, "latin1").toString("latin1", prefix.length))
    .find(isId);
  return { brought, set: (cursor: Id) => setter(prefix + cursor) };
}

/** Returns the later one of two ids. */
function later(a: Id, b: Id): Id {
  return compareIds(a, b) < 0 ? b : a;
}
