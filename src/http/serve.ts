/** The HTTP server of the program: Node's own, with bounds on everything that a client can hold open. */
import { closeSync, openSync } from "node:fs";
import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { devNull } from "node:os";
import { rejectInvalid } from "./invalid.js";
import { watchLoop } from "./loop-delay.js";
import { memory, ServedRequest } from "./memory.js";
import { DYNAMIC, send } from "./response.js";
import { stopServer } from "./stop.js";
import { throttledLog } from "./throttled-log.js";

/** Options of `serve`. */
export interface ServeOptions {
  /** How many connections may be open. One more is closed as it comes. Default 12,000. */
  readonly maxConnections?: number;
  /** The longest request head, in bytes. A longer one is 431. Default 8,192. */
  readonly maxHeaderSize?: number;
  /** How long the head of a request may take, in milliseconds; then 408. Default 10,000. */
  readonly headersTimeout?: number;
  /** How long a whole request may take, in milliseconds; then 408. Default 30,000. */
  readonly requestTimeout?: number;
  /**
   * How long a connection may be idle, with a request or between two, in milliseconds. It must be longer than the longest
   * poll, and longer than the idle time of a proxy in front. Default 75,000.
   */
  readonly idleTimeout?: number;
  /**
   * How many bytes clients may make the process keep, over all its connections: requests that are not answered, and
   * replies that are not read. A request counts as 4 KiB, twice its head, and its body. Beyond the bound, the connections
   * with most bytes are closed, until half of it is left. A process has one such bound, and the last server with this
   * option sets it. Default 24 MiB.
   */
  readonly maxBufferedBytes?: number;
  /** Called with one line about trouble, each kind at most once a minute. Default: `console.error`. */
  readonly log?: (line: string) => void;
}

/** A server that stops without losing requests. */
export interface Serving {
  readonly server: Server;
  /**
   * Stops listening. Requests on open connections are still answered, later ones with `Connection: close`. Idle connections
   * are closed after a second without a request. Resolves when the last connection is closed. Call `chat.close()` before
   * it or right after it, without waiting: otherwise polls are held until their wait ends.
   */
  stop(): Promise<void>;
}

/** From this delay of the event loop on, a line is logged, in milliseconds. */
const LATE_MS = 1_000;
const WATCH_MS = 1_000;
const DESCRIPTORS_ADVICE = "new connections are closed as they come; raise the limit (ulimit -n)";
/** A head with this many fields is 431. Node keeps the fields of an unfinished head in pieces of 32. */
const TOO_MANY_HEADERS = 64;
const HEAD_TOO_LONG = { status: 431, headers: DYNAMIC };

/** Returns a server for a handler. It does not listen yet. */
export function serve(handler: RequestListener, options: ServeOptions = {}): Serving {
  const log = throttledLog(options.log ?? console.error);
  const sockets = new Set<Socket>();
  let stopped: Promise<void> | undefined;
  memory.max = options.maxBufferedBytes ?? memory.max;
  memory.onClosed = (count) => log("too many bytes are buffered", `${count} connections are closed`);

  // One function for all responses, not a closure each.
  const onReply = function (this: ServerResponse<ServedRequest>) {
    this.req.countReply(this);
  };
  const onRequest = (req: ServedRequest, res: ServerResponse<ServedRequest> & { req: ServedRequest }) => {
    // Node drops the fields beyond its limit without an error.
    const isTooLong = req.rawHeaders.length >= 2 * TOO_MANY_HEADERS;
    if (isTooLong || stopped) res.shouldKeepAlive = false;
    if (isTooLong && res.socket) return send(res, HEAD_TOO_LONG);
    // A response without a socket waits for an earlier reply.
    if (isTooLong) return req.socket.destroy();
    res.on("prefinish", onReply);
    handler(req, res);
    if (!res.writableEnded) req.count(res);
  };
  const limits = {
    IncomingMessage: ServedRequest,
    maxHeaderSize: options.maxHeaderSize ?? 8_192,
    headersTimeout: options.headersTimeout ?? 10_000,
    requestTimeout: options.requestTimeout ?? 30_000,
    // With a second timeout, Node would switch between the two for each poll.
    keepAliveTimeout: 0,
    // With Node's default of 30 seconds, a timeout of ten seconds would take up to forty.
    connectionsCheckingInterval: 2_000,
    // Otherwise Node sends a bare 400.
    requireHostHeader: false,
  };
  const server = createServer(limits, onRequest);
  server.maxHeadersCount = TOO_MANY_HEADERS;
  server.maxConnections = options.maxConnections ?? 12_000;
  server.timeout = options.idleTimeout ?? 75_000;
  // An unknown expectation is ignored (RFC 9110, section 10.1.1). Otherwise Node sends a bare 417.
  server.on("checkExpectation", onRequest);
  server.on("clientError", rejectInvalid);
  server.on("drop", () =>
    log("too many connections", `more than ${server.maxConnections} at once are closed`),
  );
  server.on("listening", () => {
    server.on("error", (error) => log("cannot accept a connection", error.message));
  });
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  const watch = watchLoop(WATCH_MS, (late) => {
    if (late > LATE_MS) log("the event loop was late", `by ${Math.round(late)} ms`);
    try {
      closeSync(openSync(devNull, "r"));
    } catch {
      // Node itself reports nothing: it accepts each new connection and closes it at once.
      log("out of file descriptors", DESCRIPTORS_ADVICE);
    }
  });
  return {
    server,
    stop() {
      clearInterval(watch);
      stopped ??= stopServer(server, sockets);
      return stopped;
    },
  };
}
