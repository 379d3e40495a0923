/**
 * The HTTP server that the program runs: Node's own, with bounds on all that a stranger can hold open, and nothing
 * that is fatal once it listens.
 */
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { watchLoop } from "./loop-delay.js";
import { throttledLog } from "./throttled-log.js";

export interface ServeOptions {
  /** The most connections at once. More are closed as they come. Default 12,000. */
  readonly maxConnections?: number;
  /** The longest request head, in bytes. A longer one is 431. Default 16,384. */
  readonly maxHeaderSize?: number;
  /** How long the head of a request may take, in milliseconds; then 408. Default 10,000. */
  readonly headersTimeout?: number;
  /** How long a whole request may take, in milliseconds; then 408. Default 30,000. */
  readonly requestTimeout?: number;
  /**
   * How long nothing may move on a connection, with a request or between two, in milliseconds. Above the longest poll;
   * and a proxy must give up sooner. Default 75,000.
   */
  readonly idleTimeout?: number;
  /** How much of what was answered may be unread, in bytes, over all connections; who owes most is cut off. Default 256 MiB. */
  readonly maxUnread?: number;
  /** Is told of trouble, in one line, each kind at most once a minute. */
  readonly log: (line: string) => void;
}

/** A server that can be stopped at once. */
export interface Serving {
  readonly server: Server;
  /** Takes no more connections and closes those without a request; resolves when the last one is closed. */
  stop(): Promise<void>;
}

const STATUSES: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};

/** How late the event loop may be before that is worth a line, in milliseconds. */
const LATE = 1_000;
const SECOND = 1_000;

/** Makes a server for a handler; it does not listen yet. */
export function serve(handler: RequestListener, options: ServeOptions): Serving {
  const server = bounded(handler, options);
  const tell = throttledLog(options.log);
  server.on("clientError", refuseNonsense);
  server.on("drop", () =>
    tell("too many connections", `more than ${server.maxConnections} at once are closed`),
  );
  server.on("listening", () => {
    // Out of file descriptors, say: what is open goes on, and accepting does when some are closed.
    server.on("error", (error) => tell("cannot accept a connection", error.message));
  });
  const sockets = new Set<Socket>();
  // One for all, not a closure each.
  const forget = function (this: Socket) {
    sockets.delete(this);
  };
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", forget);
  });
  const maxUnread = options.maxUnread ?? 256 * 1024 * 1024;
  const watch = watchLoop(SECOND, (late) => {
    if (late > LATE) tell("the event loop was late", `by ${Math.round(late)} ms`);
    const cut = cutOffDebtors(sockets, maxUnread);
    if (cut > 0) tell("too much is unread", `${cut} connections that took nothing are closed`);
  });
  return {
    server,
    stop: () =>
      new Promise((resolve) => {
        clearInterval(watch);
        server.close(() => resolve());
        // Node closes connections that rest after an answer, but not those that have asked nothing yet.
        for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
      }),
  };
}

function bounded(handler: RequestListener, options: ServeOptions): Server {
  const limits = {
    maxHeaderSize: options.maxHeaderSize ?? 16_384,
    headersTimeout: options.headersTimeout ?? 10_000,
    requestTimeout: options.requestTimeout ?? 30_000,
    // One timeout for all is set once; with this one, Node would change from one to the other and back for each poll.
    keepAliveTimeout: 0,
    // Node's default looks every 30 seconds, which would make a timeout of ten one of forty.
    connectionsCheckingInterval: 2_000,
    // Node would send a bare 400.
    requireHostHeader: false,
  };
  const listener: RequestListener = (req, res) => {
    readNothing(req);
    handler(req, res);
  };
  const server = createServer(limits, listener);
  // An expectation that we do not know is ignored (RFC 9110, 10.1.1); Node would send a bare 417.
  server.on("checkExpectation", listener);
  server.maxConnections = options.maxConnections ?? 12_000;
  server.timeout = options.idleTimeout ?? 75_000;
  return server;
}

/**
 * Reads a request that has no body (RFC 9112, 6.3). When nobody has read a request before it is answered, Node goes
 * through all of a stream's motions to its end, which was 6% of a delivery. The price: such a request never tells of its
 * "end" or "close". The reply does.
 */
function readNothing(req: IncomingMessage): void {
  const { "content-length": length, "transfer-encoding": coding } = req.headers;
  if (length === undefined && coding === undefined) req.read();
}

/** What Node's parser refuses, or who takes too long: a bare status, and the connection closes. */
function refuseNonsense(error: NodeJS.ErrnoException, socket: Duplex): void {
  // Bytes behind a request with `Connection: close`: its reply closes the connection, and nothing may stand before it.
  if (error.code === "HPE_CLOSED_CONNECTION") return;
  // A browser connects in advance; an answer to what it has not asked would be taken for that to its next request.
  if (!(socket instanceof Socket) || socket.bytesRead === 0 || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = STATUSES[error.code ?? ""] ?? "400 Bad Request";
  const headers = "X-Content-Type-Options: nosniff\r\nConnection: close\r\nContent-Length: 0";
  socket.write(`HTTP/1.1 ${status}\r\n${headers}\r\n\r\n`);
  socket.destroySoon();
}

/** Closes connections, those that owe most first, until no more than `most` bytes are unread. Gives how many. */
function cutOffDebtors(sockets: ReadonlySet<Socket>, most: number): number {
  let unread = 0;
  for (const { writableLength } of sockets) unread += writableLength;
  if (unread <= most) return 0;
  let cut = 0;
  for (const socket of [...sockets].sort((a, b) => b.writableLength - a.writableLength)) {
    if (unread <= most) break;
    unread -= socket.writableLength;
    socket.destroy();
    cut++;
  }
  return cut;
}
