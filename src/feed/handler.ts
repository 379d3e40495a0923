/**
 * A feed over HTTP: `GET ?since=<cursor>&wait=<seconds>&client=<id>` is one poll. Its response is held until there is
 * something to say. When its connection closes, the waiter goes at once; nothing is lost, because no cursor has moved.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Feed } from "./feed.js";
import { isCursor } from "./id.js";
import { type FinishReason, Waiter } from "./waiters.js";

/**
 * Returns a listener for `http.createServer`, and a middleware. It takes every `GET` as a poll, whatever its path.
 *
 * In the query, `since` is a cursor, `0` (everything that is kept) or `now`; `wait` is 0 to 60 seconds, 10 by default;
 * `client` is 1 to 64 of `A-Z a-z 0-9 _ -`, which a page makes at random: a newer poll of the same client supersedes the
 * older one. The reply is 200 and a `Batch` as JSON. `HEAD` is answered at once and changes nothing.
 *
 * An error is `{"error": {"code", "message"}}`: 400 `bad_cursor` or `bad_request`, 401 `unauthorized`, 405
 * `method_not_allowed` (with `next`, another handler gets the request instead), 500 `internal` if `authorize` fails (the
 * feed's `onError` gets its error), 503 `too_many_waiters` with `Retry-After`.
 *
 * @param options.authorize decides who may poll: only `true` lets a request in. Default: everybody may
 */
export function longPollHandler<E, Req extends IncomingMessage = IncomingMessage>(
  feed: Feed<E>,
  { authorize }: { readonly authorize?: (req: Req) => boolean | Promise<boolean> } = {},
): (req: Req, res: ServerResponse, next?: () => void) => void {
  async function startLater(poll: HttpPoll<E>, req: Req): Promise<void> {
    if (poll.res.socket === null) await turn(req, poll.res);
    try {
      if (!authorize || (await authorize(req)) === true) poll.start(req);
      else poll.refuse(401, "unauthorized", "Not allowed.");
    } catch (error) {
      feed.onError(error, poll);
      poll.refuse(500, "internal", "Something went wrong.");
    }
  }
  return (req, res, next) => {
    if (next && req.method !== "GET" && req.method !== "HEAD") return next();
    const poll = new HttpPoll(feed, res);
    // Node ends a request that nobody reads in a way that costs 10% of a delivery. One with a body is left to Node.
    if (!req.headers["content-length"] && !req.headers["transfer-encoding"]) req.read();
    if (authorize || res.socket === null) void startLater(poll, req);
    else poll.start(req);
  };
}

/** How many requests of one connection may be queued behind one that is not answered yet. */
const MAX_QUEUED = 16;
const queued = new WeakMap<object, number>();

/**
 * Resolves when the earlier requests of a connection are answered (pipelining, RFC 9112, section 9.3.2). Until then the
 * response has no socket. Node does not say when such a connection closes, and writing to it then ends the process. If
 * the turn never comes, nothing refers to the request any more.
 */
async function turn({ socket }: IncomingMessage, res: ServerResponse): Promise<void> {
  const count = queued.get(socket) ?? 0;
  if (count >= MAX_QUEUED) socket.destroy();
  queued.set(socket, count + 1);
  await new Promise((resolve) => res.once("socket", resolve));
  queued.set(socket, (queued.get(socket) ?? 1) - 1);
}

const BAD_CURSOR = "`since` is 0, now, or the cursor of a reply.";
const BAD_WAIT = "`wait` is a number of seconds, 0 to 60.";
const BAD_CLIENT = "`client` is 1 to 64 of A-Z, a-z, 0-9, _ and -.";
// `URLSearchParams` takes twice as long, which is 2% of a delivery.
const FIELDS = { since: /[?&]since=([^&]*)/, wait: /[?&]wait=([^&]*)/, client: /[?&]client=([^&]*)/ };

class HttpPoll<E> extends Waiter<E> {
  constructor(
    readonly feed: Feed<E>,
    readonly res: ServerResponse,
  ) {
    super();
  }

  start({ method, url = "" }: IncomingMessage): undefined {
    // The connection may have closed while the request waited, or be about to: Node still reads requests behind a reply
    // that closes it, and answering one ends the process. Or a time-out of the host may have answered.
    if (!this.res.socket?.writable || this.res.headersSent) return;
    if (method !== "GET" && method !== "HEAD")
      return this.refuse(405, "method_not_allowed", "Use GET.", { Allow: "GET, HEAD" });
    const search = url.slice(url.indexOf("?"));
    const query = search.includes("%") ? `?${new URLSearchParams(search)}` : search;
    const since = FIELDS.since.exec(query)?.[1] ?? "";
    const wait = FIELDS.wait.exec(query)?.[1] ?? "10";
    const client = FIELDS.client.exec(query)?.[1];
    if (since !== "now" && !isCursor(since)) return this.refuse(400, "bad_cursor", BAD_CURSOR);
    if (!/^\d+(\.\d+)?$/.test(wait) || +wait > 60) return this.refuse(400, "bad_request", BAD_WAIT);
    if (!/^[\w-]{1,64}$/.test(client ?? "-")) return this.refuse(400, "bad_request", BAD_CLIENT);
    this.cursor = since;
    if (method === "GET") [this.wait, this.client] = [+wait * 1000, client];
    const result = this.feed.poll(this);
    if (result === "held") this.res.on("close", () => this.feed.cancel(this, "disconnected"));
    if (result === "full") this.refuse(503, "too_many_waiters", "Try again soon.", { "Retry-After": 2 });
  }

  answer(_: unknown, body: string | Buffer, reason: FinishReason): void {
    this.#send(200, body, reason === "drained" ? { Connection: "close" } : {});
  }

  refuse(status: number, code: string, message: string, headers = {}): undefined {
    this.#send(status, JSON.stringify({ error: { code, message } }), headers);
  }

  #send(status: number, body: string | Buffer, headers: object): void {
    const { res } = this;
    if (!res.socket?.writable || res.headersSent) return;
    try {
      res.writeHead(status, {
        "Content-Type": "application/json",
        "Content-Length": Buffer.byteLength(body),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        ...headers,
      });
      // `end(body)` makes two writes of it, and the second is empty. As one piece a delivery costs 5% less.
      res.socket?.cork();
      res.write(body);
      res.socket?.uncork();
      res.end();
    } catch (error) {
      // A host may have wrapped one of these. The connection is good for nothing now.
      res.destroy();
      this.feed.onError(error, this);
    }
  }
}
