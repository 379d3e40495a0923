/** The HTTP server of the program: Node's own, with bounds on everything that a client can hold open. */
import { closeSync, openSync } from "node:fs";
import { createServer, type RequestListener, type Server, ServerResponse } from "node:http";
import { Server as NetServer, Socket } from "node:net";
import { devNull } from "node:os";
import type { Duplex } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { throttledLog } from "./log.js";
import { memory, repliedEarly, ServedRequest } from "./memory.js";
import { DYNAMIC, send } from "./response.js";

/** Options of `serve`. */
export interface ServeOptions {
  /** The longest request head, in bytes. A longer one is 431. Default 8,192. */
  readonly maxHeaderSize?: number;
  /**
   * How many bytes clients may make the process keep, over all its connections: requests that are not answered, and
   * replies that are not read. A request counts as 4 KiB, twice its head, and its body. Beyond the bound, the connections
   * with the most bytes are closed, until half of it is left. A process has one such bound, and the last server with this
   * option sets it. Default 16 MiB.
   */
  readonly maxBufferedBytes?: number;
  /**
   * For how long a connection may be idle, with a request or between two, in milliseconds: 1 to 2^31 - 1, default 75,000. It
   * is closed at the latest after one and a half times this time. The time must be longer than the longest poll, and longer
   * than the idle time of a proxy in front.
   */
  readonly idleTimeout?: number;
  /** Called with one line about trouble, each kind at most once a minute. Default: `console.error`. */
  readonly log?: (line: string) => void;
}

/** A server that stops without losing requests. */
export interface Serving {
  /**
   * Node's server. These properties may be changed:
   * - `maxConnections`: 11,000. One more is closed as it comes.
   * - `headersTimeout`: 10,000 ms for the head of a request; then 408.
   * - `requestTimeout`: 30,000 ms for a whole request; then 408.
   */
  readonly server: Server;
  /**
   * Stops listening. Requests on open connections are still answered, later ones with `Connection: close`. Idle connections
   * are closed after a second without a request. Resolves when the last connection is closed. Call `chat.close()` before
   * it or right after it, without waiting: otherwise polls are held until their wait ends.
   */
  stop(): Promise<void>;
}

/** How often a file is opened, in milliseconds. If that fails, the process has no free file descriptor. */
const DESCRIPTORS_CHECK_MS = 1_000;
/** After this many milliseconds without a request, a stopping server closes idle connections: a request may be on its way. */
const QUIET_MS = 1_000;
/** The longest time for which a stopping server accepts the connections that the system has queued, in milliseconds. */
const ACCEPT_MS = 2_000;
/** A head with this many fields gets a 431. Node collects the fields in pieces of 32, and stops when it has this many. */
const TOO_MANY_HEADERS = 64;

/**
 * Returns a server for a handler. It does not listen yet.
 * @throws RangeError if `idleTimeout` is out of range
 */
export function serve(handler: RequestListener, options: ServeOptions = {}): Serving {
  const { log: write = console.error, idleTimeout = 75_000 } = options;
  if (!(idleTimeout >= 1 && idleTimeout < 2 ** 31)) throw new RangeError("idleTimeout must be 1 to 2^31 - 1");
  const log = throttledLog(write);
  /** The open connections, and how many bytes each had read and written when it was checked last. */
  const sockets = new Map<Socket, number>();
  let stopped: Promise<void> | undefined;
  memory.max = options.maxBufferedBytes ?? memory.max;
  memory.onClosed = (count) => log("too many bytes are buffered", `${count} connections are closed`);

  const onRequest = (req: ServedRequest, res: ServerResponse<ServedRequest> & { req: ServedRequest }) => {
    // Node parses the bytes that it has read, also if the connection is closed meanwhile. The body is discarded.
    if (req.socket.destroyed) return void req.resume();
    // Node drops the fields beyond `maxHeadersCount` without an error.
    const hasTooMany = req.rawHeaders.length >= 2 * TOO_MANY_HEADERS;
    if (hasTooMany || stopped) res.shouldKeepAlive = false;
    // A response without a socket waits for an earlier reply.
    if (hasTooMany) return res.socket ? send(res, { status: 431, headers: DYNAMIC }) : req.socket.destroy();
    res.on("prefinish", ServedRequest.countReply);
    handler(req, res);
    if (!res.writableEnded) ServedRequest.count(req, res);
  };
  const limits = {
    IncomingMessage: ServedRequest,
    maxHeaderSize: options.maxHeaderSize ?? 8_192,
    headersTimeout: 10_000,
    requestTimeout: 30_000,
    // Node would set this timeout again for each poll.
    keepAliveTimeout: 0,
    // With Node's default of 30 seconds, a timeout of ten seconds would take up to forty.
    connectionsCheckingInterval: 2_000,
    // Otherwise Node sends a bare 400.
    requireHostHeader: false,
  };
  const server = createServer(limits, onRequest);
  server.maxHeadersCount = TOO_MANY_HEADERS;
  server.maxConnections = 11_000;
  // An unknown expectation is ignored (RFC 9110, section 10.1.1). Otherwise Node sends a bare 417.
  server.on("checkExpectation", onRequest);
  server.on("clientError", rejectInvalid);
  server.on("drop", () => log("too many connections", `${server.maxConnections} are open, new ones close`));
  server.on("listening", () => {
    server.on("error", (error) => log("cannot accept a connection", error.message));
  });
  // One function for all connections. A closure for each would use 100 bytes.
  function onClose(this: Socket): void {
    sockets.delete(this);
    ServedRequest.forget(this);
  }
  server.on("connection", (socket: Socket) => {
    sockets.set(socket, -1);
    socket.on("close", onClose);
  });
  const descriptors = setInterval(() => {
    try {
      closeSync(openSync(devNull, "r"));
    } catch {
      // Node itself reports nothing: it accepts each new connection and closes it at once.
      log("out of file descriptors", "new connections are closed as they come; raise the limit (ulimit -n)");
    }
  }, DESCRIPTORS_CHECK_MS).unref();
  const idle = setInterval(() => limitIdle(sockets, idleTimeout / 2), idleTimeout / 2).unref();
  server.on("close", () => [descriptors, idle].forEach(clearInterval));
  return { server, stop: () => (stopped ??= stopServer(server, sockets)) };
}

/**
 * Sets Node's timeout for the connections without traffic since the last call. With `server.timeout`, Node would set a timer
 * for all connections, and restart it three times in a poll: 3% of its cost.
 */
function limitIdle(sockets: Map<Socket, number>, ms: number): void {
  for (const [socket, before] of sockets) {
    const bytes = socket.bytesRead + socket.bytesWritten;
    sockets.set(socket, bytes);
    // A connection with traffic again must get the whole time.
    if (bytes !== before) socket.setTimeout(0);
    else if (!socket.timeout) socket.setTimeout(ms);
  }
}

/**
 * Stops listening and closes connections as they become idle. Every request that a client has sent is answered, and no
 * connection is reset. Resolves when all are closed.
 */
async function stopServer(server: Server, sockets: ReadonlyMap<Socket, number>): Promise<void> {
  let isQuiet = false;
  const markBusy = () => {
    isQuiet = false;
  };
  server.on("connection", markBusy);
  // The clients in the system's queue have sent requests already. Node accepts one of them in each turn of the event loop.
  for (const end = performance.now() + ACCEPT_MS; !isQuiet && performance.now() < end; ) {
    isQuiet = true;
    // The first one ends this turn, and the second one a turn that looks for connections.
    await nextTurn();
    await nextTurn();
  }
  server.on("request", markBusy);
  const closeIfQuiet = () => {
    // For Node, a connection is idle although a slow reader has not received all of its reply.
    const areSent = [...sockets.keys()].every(({ writableLength }) => writableLength === 0);
    // In a busy process, the next request of any connection may wait to be read.
    if (isQuiet && areSent) {
      server.closeIdleConnections();
      // For Node, a connection that never had a request is not idle.
      for (const socket of sockets.keys()) if (socket.bytesRead === 0) socket.destroy();
    }
    isQuiet = true;
  };
  // A turn later, when the requests that have arrived by then are read.
  const timer = setInterval(() => setImmediate(closeIfQuiet), QUIET_MS).unref();
  // Not `server.close()`, which closes idle connections at once.
  await new Promise((resolve) => NetServer.prototype.close.call(server, resolve));
  clearInterval(timer);
}

const STATUSES: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};
const HEADERS =
  "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\nContent-Length: 0";

/**
 * Answers bytes that are not an HTTP request, or a request that is too slow or too large, with a bare status, and closes.
 * It only closes while the client waits for an earlier reply, or sends the body of a request that has its reply: the client
 * would take the status for the wrong reply. A connection without a byte is closed without a status: a browser connects in
 * advance, and its next request would get it.
 */
function rejectInvalid({ code = "" }: NodeJS.ErrnoException, socket: Duplex): void {
  // Bytes behind a request with `Connection: close`, or behind a reply that closes: that reply closes the connection.
  if (code === "HPE_CLOSED_CONNECTION" || socket.writableEnded) return;
  // Node stores the current response at the socket.
  const response = "_httpMessage" in socket ? socket._httpMessage : undefined;
  const isPending =
    repliedEarly.get(socket)?.complete === false ||
    (response instanceof ServerResponse && (response.req.complete || response.headersSent));
  const isAnswerable = socket instanceof Socket && socket.bytesRead > 0 && !isPending;
  if (isAnswerable) socket.write(`HTTP/1.1 ${STATUSES[code] ?? "400 Bad Request"}\r\n${HEADERS}\r\n\r\n`);
  socket.end(() => socket.destroy());
}
