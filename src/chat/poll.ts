/**
 * The long poll over HTTP. With `since` the caller brings a cursor and gets a batch; without, it is a plain poll, whose
 * cursor is a cookie and whose answer is one text. When the connection closes, the waiter is removed and no cursor moves.
 */
import type { ServerResponse } from "node:http";
import { type Batch, type Cursor, type FinishReason, isCursor } from "../feed/index.js";
import type { Fields } from "../http/form.js";
import type { Request } from "../http/request.js";
import { DEFERRED, DYNAMIC, HttpError, json, type Result } from "../http/response.js";
import type { Handler } from "../http/router.js";
import type { Session } from "../store/cluster.js";
import type { Message } from "../store/store.js";
import { type Auth, withMember } from "./auth.js";
import { unavailable } from "./errors.js";
import { LegacyCookie } from "./legacy-cookie.js";
import { advanceLegacy, type LegacyStart } from "./legacy-cursors.js";
import { type Member, MemberPoll } from "./member.js";
import type { Room } from "./room.js";

const DEFAULT_WAIT_S = 10;
const MAX_WAIT_S = 60;

const HEADERS = { "Content-Type": "application/json", ...DYNAMIC };

const FULL = unavailable("too_many_waiters", "Too many people are waiting. Try again soon.", 2);
const BAD_QUERY = new HttpError(400, "bad_request", "The query is malformed.");
const BAD_CURSOR = new HttpError(400, "bad_cursor", "`since` is not a cursor.");
const BAD_WAIT = new HttpError(
  400,
  "bad_request",
  `\`wait\` is a number of seconds from 0 to ${MAX_WAIT_S}.`,
);
const BAD_CLIENT = new HttpError(400, "bad_request", "`client` is 1 to 64 of A-Z, a-z, 0-9, _ and -.");

/** Returns the handler of `/get_post/:user`. */
export function longPoll(room: Room, auth: Auth): Handler {
  return withMember(auth, (request, session, form) => {
    const query = request.query();
    if (!query) throw BAD_QUERY;
    const fields = query.and(form);
    const since = fields.get("since");
    if (since !== undefined) return poll(room, request, session, since, fields);
    return request.isHead ? json(200, "") : plainPoll(room, request, session);
  });
}

/** Reads the id of a page, which the protocol calls `client`. Throws a 400. */
export function parsePage(fields: Fields | undefined): string | undefined {
  const page = fields?.get("client");
  if (page !== undefined && !/^[\w-]{1,64}$/.test(page)) throw BAD_CLIENT;
  return page;
}

function poll(room: Room, request: Request, session: Session, since: string, fields: Fields): Result {
  if (since !== "now" && !isCursor(since)) throw BAD_CURSOR;
  const wait = fields.get("wait") ?? `${DEFAULT_WAIT_S}`;
  if (!/^\d+(\.\d+)?$/.test(wait) || Number(wait) > MAX_WAIT_S) throw BAD_WAIT;
  const page = parsePage(fields);
  // HEAD changes nothing: no presence, and no poll of the same page is superseded.
  if (request.isHead) return { status: 200, headers: HEADERS, body: room.peek(since) };
  // Other requests may be waiting behind a pipelined one (protocol.md).
  const ms = request.wasQueued ? 0 : Number(wait) * 1000;
  return hold(room, new BatchPoll(room, request.res, room.members.get(session), since, ms, page));
}

/** A poll with `since`: it is answered with a batch. */
class BatchPoll extends MemberPoll {
  readonly #room: Room;
  readonly res: ServerResponse;

  constructor(
    room: Room,
    res: ServerResponse,
    member: Member,
    since: Cursor | "now",
    wait: number,
    page?: string,
  ) {
    super(member, since, wait, page);
    this.#room = room;
    this.res = res;
  }

  override finished(reason: FinishReason): void {
    this.#room.finished(this, reason);
  }

  answer(_batch: Batch<Message>, body: string | Buffer): void {
    reply(this.#room, this.res, body);
  }

  override failed(): void {
    this.res.destroy();
  }
}

function plainPoll(room: Room, request: Request, session: Session): Result {
  const cookie = new LegacyCookie(request, session);
  const start = room.loadLegacy(session, cookie.cursor);
  const ms = request.wasQueued ? 0 : DEFAULT_WAIT_S * 1000;
  const poll = new PlainPoll(room, request.res, session, start, cookie, ms);
  room.plainPolls.add(poll);
  return hold(room, poll);
}

/** A poll without `since`: it is answered with one text, or with `""` at the end of the wait. */
class PlainPoll extends MemberPoll {
  readonly #room: Room;
  readonly #session: Session;
  readonly #start: LegacyStart;
  readonly #cookie: LegacyCookie;
  readonly res: ServerResponse;

  constructor(
    room: Room,
    res: ServerResponse,
    session: Session,
    start: LegacyStart,
    cookie: LegacyCookie,
    wait: number,
  ) {
    super(room.members.get(session), room.skipNotices(start.cursor), wait);
    this.#room = room;
    this.res = res;
    this.#session = session;
    this.#start = start;
    this.#cookie = cookie;
  }

  override finished(reason: FinishReason): void {
    this.#room.plainPolls.delete(this);
    this.#room.finished(this, reason);
  }

  answer({ events, cursor }: Batch<Message>): void {
    const message = events.find(({ kind }) => kind === undefined);
    const next = message?.id ?? cursor;
    const isSent = reply(this.#room, this.res, JSON.stringify(message?.text ?? ""), this.#cookie.set(next));
    if (isSent && message) advanceLegacy(this.member, this.#session, this.#start, message.id);
  }

  override failed(): void {
    this.res.destroy();
  }
}

function hold(room: Room, poll: BatchPoll | PlainPoll): Result {
  const { res } = poll;
  if (!room.poll(poll)) {
    room.plainPolls.delete(poll);
    throw FULL;
  }
  if (poll.slot === undefined) return DEFERRED;
  const disconnect = () => room.feed.cancel(poll, "disconnected");
  // A connection that closed while the body was read does not say so again.
  if (res.destroyed) disconnect();
  else res.on("close", disconnect);
  return DEFERRED;
}

/** Writes the answer to a poll. Returns whether the connection was open. Not `send`, which copies the headers. */
function reply(room: Room, res: ServerResponse, body: string | Buffer, cookie?: string): boolean {
  // A time-out of the host may have answered already.
  if (res.destroyed || res.headersSent) return false;
  if (room.draining) res.shouldKeepAlive = false;
  const bytes = Buffer.byteLength(body);
  room.counts.bytes += bytes;
  if (cookie !== undefined) res.setHeader("Set-Cookie", cookie);
  // A literal: a copy of `HEADERS` costs 4% of a poll.
  res.writeHead(200, {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Length": bytes,
  });
  // `end(body)` makes two writes, and the second is empty. As one piece a delivery costs 5% less.
  const { socket } = res;
  socket?.cork();
  res.write(body);
  socket?.uncork();
  res.end();
  return true;
}
