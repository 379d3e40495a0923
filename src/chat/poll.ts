/**
 * The long poll over HTTP. With `since` the caller brings a cursor and gets a batch. Without, it is a plain poll, whose
 * cursor is a cookie and whose answer is one text. When the connection closes, the poll ends and no cursor moves.
 */
import type { ServerResponse } from "node:http";
import { type Batch, type FinishReason, type Id, type PollQuery, sendJson, Waiter } from "../feed/index.js";
import type { Request } from "../http/request.js";
import { DEFERRED, type Result } from "../http/response.js";
import type { Session } from "../store/cluster.js";
import type { Message } from "../store/store.js";
import { type LegacyReader, legacyCookie } from "./legacy.js";
import { clientOf, type Member } from "./member.js";
import type { Room } from "./room.js";
import { nameKey } from "./text.js";

/** How long a plain poll waits, in milliseconds. */
const PLAIN_WAIT_MS = 10_000;

/** A poll with `since`: it is answered with a batch. */
export class Poll extends Waiter<Message> {
  readonly room: Room;
  readonly member: Member;
  readonly res: ServerResponse;
  readonly #end: number;

  constructor(room: Room, { res, wasQueued }: Request, { key, name }: Session, query: PollQuery) {
    super();
    const { cursor, wait, client } = query;
    this.room = room;
    this.member = room.members.get(key, name);
    this.res = res;
    this.cursor = cursor;
    // Other requests may be queued behind a pipelined one (protocol.md).
    this.wait = wasQueued ? 0 : wait;
    this.#end = performance.now() + this.wait;
    if (client !== undefined) this.client = clientOf(key, client);
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
    return (
      gap === true || events.some(({ kind, user }) => kind !== "join" || nameKey(user) !== this.member.key)
    );
  }

  /** Sends the reply. Returns whether the connection was open. */
  protected send(_batch: Batch<Message>, body: string | Buffer): boolean {
    const { room, res } = this;
    if (room.draining) res.shouldKeepAlive = false;
    const bytes = sendJson(res, 200, body);
    room.metrics.bytes += bytes;
    return bytes > 0;
  }
}

/** A poll without `since`: it is answered with one text, or with `""` at the end of the wait. */
export class PlainPoll extends Poll {
  readonly #reader: LegacyReader;
  readonly #start: Id;
  readonly #setCookie: (cursor: Id) => string;

  constructor(room: Room, request: Request, session: Session) {
    const { brought, set } = legacyCookie(request, session, room.feed.lastId);
    const reader = room.legacyReader(session, brought);
    const start = reader.start(brought);
    super(room, request, session, { cursor: start, wait: PLAIN_WAIT_MS, client: undefined });
    this.#reader = reader;
    this.#start = start;
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
    if (isSent && message) this.#reader.sent(this.#start, message.id);
    return isSent;
  }
}
