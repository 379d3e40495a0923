/** The HTTP server of the program: Node's own, with bounds on everything that a stranger can hold open. */
import { closeSync, openSync } from "node:fs";
import { createServer, type RequestListener, type Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { devNull } from "node:os";
import { rejectHead, rejectInvalid } from "./invalid.js";
import { watchLoop } from "./loop-delay.js";
import { BufferedReplies } from "./memory.js";
import { countHead, ServedRequest } from "./served.js";
import { stopServer } from "./stop.js";
import { throttledLog } from "./throttled-log.js";

export interface ServeOptions {
  /** How many connections may be open. More are closed as they come. Default 12,000. */
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
   * How many bytes of replies may be buffered because clients do not read them, over all connections. Beyond that, the
   * slow readers with most bytes are closed, until half of it is left. Default 16 MiB.
   */
  readonly maxBufferedBytes?: number;
  /** Called with one line about trouble, each kind at most once a minute. Default: `console.error`. */
  readonly log?: (line: string) => void;
}

/** A server that stops without losing requests. */
export interface Serving {
  readonly server: Server;
  /**
   * Stops listening. Requests on open connections are still answered, with `Connection: close`, and idle connections are
   * closed when no request has come for a second. Resolves when the last connection is closed. Call `chat.close()` before
   * it or right after it, without waiting: otherwise polls are held until their wait ends.
   */
  stop(): Promise<void>;
}

/** From this delay of the event loop on, a line is logged. */
const LATE_MS = 1_000;
const WATCH_MS = 1_000;
const DESCRIPTORS_ADVICE = "new connections are closed as they come; raise the limit (ulimit -n)";

/** A request with this many header fields or more is 431. */
const MAX_HEADERS = 64;

/** Returns a server for a handler. It does not listen yet. */
export function serve(handler: RequestListener, options: ServeOptions = {}): Serving {
  const tell = throttledLog(options.log ?? console.error);
  const sockets = new Set<Socket>();
  const buffered = new BufferedReplies(sockets, options.maxBufferedBytes ?? 16 * 1024 * 1024);
  let stopped: Promise<void> | undefined;
  const onBuffered = (bytes: number) => {
    const closed = buffered.add(bytes);
    if (closed > 0) tell("too many bytes are buffered", `${closed} slow readers are closed`);
  };
  const server = bounded(handler, options, onBuffered, () => stopped !== undefined);
  server.on("clientError", rejectInvalid);
  server.on("drop", () =>
    tell("too many connections", `more than ${server.maxConnections} at once are closed`),
  );
  server.on("listening", () => {
    server.on("error", (error) => tell("cannot accept a connection", error.message));
  });
  // One function for all sockets, not a closure each.
  const forget = function (this: Socket) {
    sockets.delete(this);
  };
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", forget);
  });
  const watch = watchLoop(WATCH_MS, (late) => {
    if (late > LATE_MS) tell("the event loop was late", `by ${Math.round(late)} ms`);
    if (isOutOfDescriptors()) tell("out of file descriptors", DESCRIPTORS_ADVICE);
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

function bounded(
  handler: RequestListener,
  options: ServeOptions,
  onBuffered: (bytes: number) => void,
  isStopping: () => boolean,
): Server {
  class StoppingResponse extends ServerResponse {
    override writeHead(...args: unknown[]): this {
      if (isStopping()) this.shouldKeepAlive = false;
      return Reflect.apply(super.writeHead, this, args);
    }
  }
  // One function for all responses, not a closure each. For a client that reads, there is nothing to do.
  const replied = function (this: ServerResponse) {
    const bytes = this.socket?.writableLength ?? 0;
    if (bytes === 0) return;
    countHead(this.req, this);
    onBuffered(bytes);
  };
  const limits = {
    IncomingMessage: ServedRequest,
    ServerResponse: StoppingResponse,
    maxHeaderSize: options.maxHeaderSize ?? 8_192,
    headersTimeout: options.headersTimeout ?? 10_000,
    requestTimeout: options.requestTimeout ?? 30_000,
    // With a second timeout, Node would change from one to the other and back for each poll.
    keepAliveTimeout: 0,
    // With Node's default of 30 seconds, a timeout of ten seconds would be one of forty.
    connectionsCheckingInterval: 2_000,
    // Node would send a bare 400.
    requireHostHeader: false,
  };
  const listener: RequestListener = (req, res) => {
    // Node drops fields beyond its limit without a word.
    if (req.rawHeaders.length >= 2 * MAX_HEADERS) {
      rejectHead(req, res);
      return;
    }
    res.on("prefinish", replied);
    handler(req, res);
    if (!res.writableEnded) countHead(req, res);
  };
  const server = createServer(limits, listener);
  // An unknown expectation is ignored (RFC 9110, section 10.1.1). Node would send a bare 417.
  server.on("checkExpectation", listener);
  server.maxHeadersCount = MAX_HEADERS;
  server.maxConnections = options.maxConnections ?? 12_000;
  server.timeout = options.idleTimeout ?? 75_000;
  return server;
}

/** Whether no file can be opened. Node does not say so: it accepts each new connection and closes it at once. */
function isOutOfDescriptors(): boolean {
  try {
    closeSync(openSync(devNull, "r"));
    return false;
  } catch (error) {
    return error instanceof Error && "code" in error && (error.code === "EMFILE" || error.code === "ENFILE");
  }
}
