/**
 * The long poll over HTTP. With `since` the caller brings a cursor and gets a batch. Without, it is a plain poll, whose
 * cursor is a cookie and whose answer is one text. When the connection closes, the poll ends and no cursor moves.
 */
import type { ServerResponse } from "node:http";
import { type Batch, type Cursor, type FinishReason, type Id, isCursor, Waiter } from "../feed/index.js";
import type { Fields } from "../http/form.js";
import type { Request } from "../http/request.js";
import { badRequest, DEFERRED, HttpError, json, type Result } from "../http/response.js";
import type { Handler } from "../http/router.js";
import type { Session } from "../store/cluster.js";
import type { Message } from "../store/store.js";
import { type Auth, withMember } from "./auth.js";
import { type LegacyReader, legacyCookie } from "./legacy.js";
import { clientOf, type Member } from "./member.js";
import type { Room } from "./room.js";
import { nameKey } from "./text.js";

const DEFAULT_WAIT_S = 10;
const MAX_WAIT_S = 60;

const BAD_CURSOR = new HttpError(400, "bad_cursor", "`since` is not a cursor.");
const BAD_WAIT = badRequest(`\`wait\` is a number of seconds from 0 to ${MAX_WAIT_S}.`);
const BAD_CLIENT = badRequest("`client` is 1 to 64 of A-Z, a-z, 0-9, _ and -.");

/** Returns the handler of `/get_post/:user`. */
export function longPoll(room: Room, auth: Auth): Handler {
  return withMember(auth, (request, session, form) => {
    const query = request.query();
    const fields = form.size === 0 ? query : new Map([...form, ...query]);
    const since = fields.get("since");
    if (since !== undefined) return batchPoll(room, request, session, since, fields);
    return request.isHead ? json(200, "") : plainPoll(room, request, session);
  });
}

/** Returns the id of a page, which the protocol calls `client`. Throws a 400 if it is malformed. */
export function parsePage(fields: Fields): string | undefined {
  const page = fields.get("client");
  if (page !== undefined && !/^[\w-]{1,64}$/.test(page)) throw BAD_CLIENT;
  return page;
}

function batchPoll(room: Room, request: Request, session: Session, since: string, fields: Fields): Result {
  if (since !== "now" && !isCursor(since)) throw BAD_CURSOR;
  const wait = fields.get("wait") ?? `${DEFAULT_WAIT_S}`;
  if (!/^\d+(\.\d+)?$/.test(wait) || Number(wait) > MAX_WAIT_S) throw BAD_WAIT;
  const page = parsePage(fields);
  // HEAD changes nothing: no presence, and no poll of the same page is superseded.
  if (request.isHead) return { ...json(200, ""), body: room.peek(since) };
  return new Poll(room, request, session, since, Number(wait), page).start();
}

function plainPoll(room: Room, request: Request, session: Session): Result {
  const { cursor, set } = legacyCookie(request, session, room.feed.lastId);
  const reader = room.legacyReader(session, cursor);
  return new PlainPoll(room, request, session, reader, reader.start(cursor), set).start();
}

/** A poll with `since`: it is answered with a batch. */
export class Poll extends Waiter<Message> {
  readonly member: Member;
  readonly res: ServerResponse;
  readonly #end: number;

  constructor(
    readonly room: Room,
    { res, wasQueued }: Request,
    { key, name }: Session,
    cursor: Cursor | "now",
    waitS: number,
    page?: string,
  ) {
    super();
    this.member = room.members.get(key, name);
    this.res = res;
    this.cursor = cursor;
    // Other requests may be queued behind a pipelined one (protocol.md).
    this.wait = wasQueued ? 0 : waitS * 1000;
    this.#end = performance.now() + this.wait;
    if (page !== undefined) this.client = clientOf(key, page);
  }

  /** Hands the poll to the room. Throws a 503 if there is no room for it. */
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
      this.wait = Math.max(1, this.#end - performance.now());
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
    const [first] = events;
    if (gap || events.length > 1 || first?.kind !== "join") return true;
    return nameKey(first.user) !== this.member.key;
  }

  protected send(_batch: Batch<Message>, body: string | Buffer): void {
    this.write(body);
  }

  /** Writes the reply. Returns whether the connection was open. Not `send` of `http`, because that copies the headers. */
  protected write(body: string | Buffer, cookie?: string): boolean {
    const { room, res } = this;
    // A time-out of the host may have answered already.
    if (res.destroyed || res.headersSent) return false;
    if (room.draining) res.shouldKeepAlive = false;
    const bytes = Buffer.byteLength(body);
    room.metrics.bytes += bytes;
    if (cookie !== undefined) res.setHeader("Set-Cookie", cookie);
    // A literal: a copy of a constant costs 4% of a poll.
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
}

/** A poll without `since`: it is answered with one text, or with `""` at the end of the wait. */
class PlainPoll extends Poll {
  constructor(
    room: Room,
    request: Request,
    session: Session,
    readonly reader: LegacyReader,
    readonly first: Id,
    readonly setCookie: (cursor: Id) => string,
  ) {
    super(room, request, session, first, DEFAULT_WAIT_S);
  }

  /** Returns whether a batch has a text. Notices do not answer a plain poll. */
  protected override hasNews({ events }: Batch<Message>): boolean {
    return events.some(({ kind }) => kind === undefined);
  }

  protected override send({ events, cursor }: Batch<Message>): void {
    const message = events.find(({ kind }) => kind === undefined);
    const text = `${JSON.stringify(message?.text ?? "")}\n`;
    const isSent = this.write(text, this.setCookie(message?.id ?? cursor));
    if (isSent && message) this.reader.sent(this.first, message.id);
  }
}
