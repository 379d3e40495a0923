/** The HTTP server of the program: Node's own, with bounds on everything that a stranger can hold open. */
import { closeSync, openSync } from "node:fs";
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  ServerResponse,
} from "node:http";
import { Socket } from "node:net";
import { devNull } from "node:os";
import type { Duplex } from "node:stream";
import { watchLoop } from "./loop-delay.js";
import { BufferedReplies, pendingRequests } from "./memory.js";
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
   * slow readers with most bytes are closed, until half of it is left. Default 32 MiB.
   */
  readonly maxBufferedBytes?: number;
  /** Called with one line about trouble, each kind at most once a minute. */
  readonly log: (line: string) => void;
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

const STATUSES: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};

/** From this delay of the event loop on, a line is logged. */
const LATE_MS = 1_000;
const WATCH_MS = 1_000;
const DESCRIPTORS_ADVICE = "new connections are closed as they come; raise the limit (ulimit -n)";

/** The most header fields of a request. More are 431. */
const MAX_HEADERS = 64;
/** What a string takes beside its characters, and its place in a list, in bytes. */
const STRING_BYTES = 64;
/** A head of a browser is smaller, and is not counted. */
const SMALL_HEAD_BYTES = 6_144;

/** Returns a server for a handler. It does not listen yet. */
export function serve(handler: RequestListener, options: ServeOptions): Serving {
  const tell = throttledLog(options.log);
  const sockets = new Set<Socket>();
  const buffered = new BufferedReplies(sockets, options.maxBufferedBytes ?? 32 * 1024 * 1024);
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
  class BoundedResponse extends ServerResponse {
    override writeHead(...args: unknown[]): this {
      if (isStopping()) this.shouldKeepAlive = false;
      return Reflect.apply(super.writeHead, this, args);
    }

    /** Reports what the socket could not send at once. Nothing is to be done for a client that reads. */
    override end(...args: unknown[]): this {
      Reflect.apply(super.end, this, args);
      const bytes = this.socket?.writableLength ?? 0;
      if (bytes > 0) onBuffered(bytes);
      return this;
    }
  }
  const limits = {
    ServerResponse: BoundedResponse,
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
    if (boundHead(req, res)) handler(req, res);
  };
  const server = createServer(limits, listener);
  // An unknown expectation is ignored (RFC 9110, section 10.1.1). Node would send a bare 417.
  server.on("checkExpectation", listener);
  server.maxHeadersCount = MAX_HEADERS;
  server.maxConnections = options.maxConnections ?? 12_000;
  server.timeout = options.idleTimeout ?? 75_000;
  return server;
}

/** Counts the memory of a large head until its reply is sent. Returns false if it has too many fields, which is 431. */
function boundHead(req: IncomingMessage, res: ServerResponse): boolean {
  const { rawHeaders, socket } = req;
  // Node drops what is beyond its limit without a word.
  if (rawHeaders.length >= 2 * MAX_HEADERS) {
    res
      .writeHead(431, { "X-Content-Type-Options": "nosniff", Connection: "close", "Content-Length": 0 })
      .end();
    return false;
  }
  let bytes = (req.url ?? "").length;
  for (const text of rawHeaders) bytes += text.length + STRING_BYTES;
  if (bytes <= SMALL_HEAD_BYTES) {
    readNothing(req);
    return true;
  }
  pendingRequests.add(socket, bytes);
  res.once("close", () => pendingRequests.add(socket, -bytes));
  return true;
}

/**
 * Reads a request that has no body (RFC 9112, 6.3). When nobody has read a request before it is answered, Node goes
 * through all of a stream's motions to its end, which was 6% of a delivery. The price: such a request never tells of its
 * "end" or "close", as the reply does, and Node keeps it with its idle connection until the next one.
 */
function readNothing(req: IncomingMessage): void {
  const { "content-length": length, "transfer-encoding": coding } = req.headers;
  if (length === undefined && coding === undefined) req.read();
}

/**
 * Answers bytes that Node's parser does not accept, or a request that takes too long, with a bare status and closes. If the
 * client waits for the reply to an earlier request, it would take the status for that: then the connection only closes.
 */
function rejectInvalid(error: NodeJS.ErrnoException, socket: Duplex): void {
  // Bytes behind a request with `Connection: close`: its reply closes the connection, and nothing may stand before it.
  if (error.code === "HPE_CLOSED_CONNECTION") return;
  // It closes when what is buffered was sent.
  if (socket.writableEnded) return;
  // A browser connects in advance, and would take a status now for the reply to its next request.
  if (!(socket instanceof Socket) || socket.bytesRead === 0 || !socket.writable) {
    socket.destroy();
    return;
  }
  if (!isReplyPending(socket)) {
    const status = STATUSES[error.code ?? ""] ?? "400 Bad Request";
    const headers = "X-Content-Type-Options: nosniff\r\nConnection: close\r\nContent-Length: 0";
    socket.write(`HTTP/1.1 ${status}\r\n${headers}\r\n\r\n`);
  }
  socket.destroySoon();
}

/** Whether a complete request waits for its reply, or a reply has begun. Node keeps the current response with the socket. */
function isReplyPending(socket: Socket): boolean {
  const response = "_httpMessage" in socket ? socket._httpMessage : undefined;
  return response instanceof ServerResponse && (response.req.complete || response.headersSent);
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
