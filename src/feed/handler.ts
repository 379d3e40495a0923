/**
 * A feed over HTTP: `GET ?since=<cursor>&wait=<seconds>&client=<id>` is one poll. Its response is held until there is
 * something to say. When its connection closes, the waiter goes at once; nothing is lost, because no cursor has moved.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Feed } from "./feed.js";
import { type Cursor, isCursor } from "./id.js";
import { type FinishReason, Waiter } from "./waiters.js";

/** How many requests of one connection may be queued behind one that is not answered yet. */
const MAX_QUEUED = 16;

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
  async function handle(req: Req, res: ServerResponse): Promise<void> {
    if (res.socket === null) await turn(req, res);
    if (authorize && (await authorize(req)) !== true) return refuse(res, 401, "unauthorized", "Not allowed.");
    // Meanwhile the connection may have closed, or a time-out of the host may have answered.
    if (res.destroyed || res.headersSent) return;
    const waiter = parse<E>(req, res);
    if (!waiter) return;
    const result = feed.poll(waiter);
    if (result === "held") res.on("close", () => feed.cancel(waiter, "disconnected"));
    if (result === "full") refuse(res, 503, "too_many_waiters", "Try again soon.", { "Retry-After": 2 });
  }
  return (req, res, next) => {
    if (next && req.method !== "GET" && req.method !== "HEAD") return next();
    handle(req, res)
      .catch((error) => {
        feed.onError(error);
        refuse(res, 500, "internal", "Something went wrong.");
      })
      .catch(feed.onError);
  };
}

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

/** Returns the poll that is asked for, or undefined if it is refused. */
function parse<E>(req: IncomingMessage, res: ServerResponse): HttpWaiter<E> | undefined {
  const { method, url = "" } = req;
  if (method !== "GET" && method !== "HEAD") {
    return refuse(res, 405, "method_not_allowed", "Use GET.", { Allow: "GET, HEAD" });
  }
  const query = new URLSearchParams(url.slice(url.indexOf("?") + 1));
  const since = query.get("since") ?? "";
  const wait = query.get("wait") ?? "10";
  const client = query.get("client") ?? undefined;
  const bad = (code: string, message: string) => refuse(res, 400, code, message);
  if (since !== "now" && !isCursor(since))
    return bad("bad_cursor", "`since` is 0, now, or a reply's cursor.");
  if (!/^\d+(\.\d+)?$/.test(wait) || +wait > 60) return bad("bad_request", "`wait` is 0 to 60 seconds.");
  if (!/^[\w-]{1,64}$/.test(client ?? "-"))
    return bad("bad_request", "`client` is 1 to 64 of A-Z a-z 0-9 _ -.");
  return method === "HEAD" ? new HttpWaiter(res, since, 0) : new HttpWaiter(res, since, +wait * 1000, client);
}

class HttpWaiter<E> extends Waiter<E> {
  readonly res: ServerResponse;

  constructor(res: ServerResponse, since: Cursor | "now", wait: number, client?: string) {
    super(since, wait, client);
    this.res = res;
  }

  answer(_: unknown, body: string | Buffer, reason: FinishReason): void {
    send(this.res, 200, body, reason === "drained" ? { Connection: "close" } : {});
  }
}

function refuse(res: ServerResponse, status: number, code: string, message: string, headers = {}): undefined {
  send(res, status, JSON.stringify({ error: { code, message } }), headers);
}

function send(res: ServerResponse, status: number, body: string | Buffer, headers: object): void {
  if (res.destroyed || res.headersSent) return;
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
  } finally {
    // A host may have wrapped one of these, and it threw: the connection is good for nothing now.
    if (!res.writableEnded) res.destroy();
  }
}
