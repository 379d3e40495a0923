/**
 * A feed over HTTP: `GET ?since=<cursor>&wait=<seconds>&client=<id>` is one poll. Its response is held until there are events
 * or the wait ends. When the connection closes, the waiter is removed; no cursor has moved, so the next poll misses nothing.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Feed } from "./feed.js";
import { isCursor } from "./id.js";
import { type FinishReason, Waiter } from "./waiters.js";

/**
 * Returns a listener for `http.createServer`, and a middleware. It takes every `GET` as a poll, whatever its path.
 *
 * In the query, `since` is a cursor, `0` (everything that is kept) or `now`, and is required. `wait` is 0 to 60 seconds, 10
 * by default. `client` is 1 to 64 of `A-Z a-z 0-9 _ -`, which the client generates at random; a newer poll of the same
 * client supersedes the older one. The reply is 200 and a `Batch` as JSON. `HEAD` is answered at once and changes nothing.
 *
 * An error is `{"error": {"code", "message"}}`: 400 `bad_cursor` or `bad_request`, 401 `unauthorized`, 405
 * `method_not_allowed` (with `next`, another handler gets the request instead), 503 `too_many_waiters` with `Retry-After`,
 * 500 `internal` if `authorize` or the feed's `encode` throws; the feed's `onError` gets that error.
 *
 * @param options.authorize decides who may poll: only `true` permits a request. Default: everybody may
 */
export function longPollHandler<E, Req extends IncomingMessage = IncomingMessage>(
  feed: Feed<E>,
  { authorize }: { readonly authorize?: (req: Req) => boolean | Promise<boolean> } = {},
): (req: Req, res: ServerResponse, next?: () => void) => void {
  return async (req, res, next) => {
    if (next && req.method !== "GET" && req.method !== "HEAD") return next();
    // An unread body would hide that the connection closes. Without a body, Node would read to the end after the reply, with
    // more work.
    if (req.headers["content-length"] || req.headers["transfer-encoding"]) req.resume();
    else req.read();
    const poll = new HttpPoll<E>(res);
    try {
      if (res.socket === null && !res.headersSent) await earlierReplies(req, res);
      if (!authorize || (await authorize(req)) === true) poll.start(feed, req);
      else poll.refuse(401, "unauthorized", "Not allowed.");
    } catch (error) {
      poll.failed();
      feed.onError(error, poll);
    }
  };
}

/** The most requests of one connection that wait for the reply to an earlier one. One more closes the connection. */
const MAX_QUEUED = 16;
const queued = new WeakMap<object, number>();

/**
 * Resolves when the earlier requests of the same connection are answered (pipelining, RFC 9112, section 9.3.2). Until
 * then the response has no socket. Node does not report when such a connection closes, and a write to it would end the
 * process. If the connection closes first, the promise stays pending, and nothing refers to it any more.
 */
async function earlierReplies({ socket }: IncomingMessage, res: ServerResponse): Promise<void> {
  const count = queued.get(socket) ?? 0;
  if (count >= MAX_QUEUED) socket.destroy();
  queued.set(socket, count + 1);
  await new Promise((resolve) => res.once("socket", resolve));
  queued.set(socket, (queued.get(socket) ?? 1) - 1);
}

/** The fields of a `Waiter` that a query sets. */
export type PollQuery = Pick<Waiter<unknown>, "cursor" | "wait" | "client">;

/** The usual order of the fields. `URLSearchParams` takes longer, and parses any other query. */
const USUAL = /^since=([^&%+]*)&wait=([^&%+]*)(?:&client=([^&%+]*))?$/;
// With `&`, because `URLSearchParams` would remove a question mark in front.
const parse = (query: string, fields = new URLSearchParams(`&${query}`)) =>
  ["", "since", "wait", "client"].map((name) => fields.get(name) ?? undefined);

/**
 * Parses the query of a poll, without its question mark. Of several fields with one name, the first counts.
 * @returns the fields, or the code and the message of a reply with status 400
 */
export function parsePoll(query: string): PollQuery | { readonly error: [code: string, message: string] } {
  const [, cursor = "", wait = "10", client] = USUAL.exec(query) ?? parse(query);
  if (cursor !== "now" && !isCursor(cursor))
    return { error: ["bad_cursor", "`since` is 0, now, or the cursor of a reply."] };
  if (!/^\d+(\.\d+)?$/.test(wait) || +wait > 60)
    return { error: ["bad_request", "`wait` is a number of seconds, 0 to 60."] };
  if (!/^[\w-]{1,64}$/.test(client ?? "-"))
    return { error: ["bad_request", "`client` is 1 to 64 of A-Z, a-z, 0-9, _ and -."] };
  return { cursor, wait: +wait * 1000, client };
}

/**
 * Sends JSON. Does nothing if the response cannot be sent: the connection may be closed, or the host may have sent a
 * response. Node may read a pipelined request after a reply with `Connection: close`, and a write to that response would
 * end the process.
 * @returns whether it was sent
 */
export function sendJson(res: ServerResponse, status: number, body: string | Buffer): boolean {
  if (!res.socket?.writable || res.headersSent) return false;
  const bytes = Buffer.byteLength(body);
  // The headers are a literal, because a copy of a constant object costs 4% of a poll.
  res.writeHead(status, {
    "Content-Type": "application/json",
    "Content-Length": bytes,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
  });
  // `end(body)` makes two writes, and the second one is empty. `cork` combines head and body into one write.
  res.socket.cork();
  // Pure ASCII is written faster as latin1.
  if (res.req.method !== "HEAD") res.write(body, bytes === body.length ? "latin1" : "utf8");
  res.socket.uncork();
  res.end();
  return true;
}

/** One poll over HTTP. */
class HttpPoll<E> extends Waiter<E> {
  constructor(readonly res: ServerResponse) {
    super();
  }

  start(feed: Feed<E>, { method, url = "" }: IncomingMessage): undefined {
    if (!this.res.socket?.writable || this.res.headersSent) return;
    if (method !== "GET" && method !== "HEAD")
      return this.refuse(405, "method_not_allowed", "Use GET.", "Allow", "GET, HEAD");
    const query = parsePoll(url.slice(url.indexOf("?") + 1 || url.length));
    if ("error" in query) return this.refuse(400, ...query.error);
    Object.assign(this, query, method === "HEAD" && { wait: 0, client: undefined });
    const result = feed.poll(this);
    if (result === "held") this.res.on("close", () => feed.cancel(this, "disconnected"));
    if (result === "full") this.refuse(503, "too_many_waiters", "Try again soon.", "Retry-After", "2");
  }

  answer(_: unknown, body: string | Buffer, reason: FinishReason): void {
    if (reason === "drained") this.res.shouldKeepAlive = false;
    sendJson(this.res, 200, body);
  }

  refuse(status: number, code: string, message: string, header = "", value = ""): undefined {
    if (header !== "") this.res.setHeader(header, value);
    sendJson(this.res, status, `${JSON.stringify({ error: { code, message } })}\n`);
  }

  override failed(): void {
    try {
      // A middleware of the host may end the reply later.
      if (!this.res.headersSent) this.refuse(500, "internal", "Something went wrong.");
      else if (!this.res.writableEnded) this.res.destroy();
    } catch {
      this.res.destroy();
    }
  }
}
