/** Bounds the memory that clients make the process use: by requests that are not answered and replies that are not read. */
import { IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { hasBody } from "./body.js";

/** One bound for all servers of the process, because they share its memory. */
export const memory = {
  /** The bound over all connections, in bytes. */
  max: 16 * 1024 * 1024,
  /** What a body without a length counts, in bytes: the largest `bodyLimit` of all chats, which is allocated for it. */
  unknownBody: 64 * 1024,
  /** Called with the number of connections that were closed at the bound. */
  onClosed: (_count: number): void => {},
};

/** The bytes that are counted for each connection, and their sum. */
const connections = new Map<Socket, number>();
let used = 0;

/** Counts bytes of a connection; negative when they are free. Beyond the bound, the connections with the most bytes are closed. */
function add(socket: Socket, bytes: number): void {
  if (socket.destroyed) return;
  const counted = (connections.get(socket) ?? 0) + bytes;
  if (counted === 0) connections.delete(socket);
  else connections.set(socket, counted);
  used += bytes;
  if (used > memory.max) closeLargest();
}

function closeLargest(): void {
  let closed = 0;
  for (const [socket] of [...connections].sort(([, a], [, b]) => b - a)) {
    // Half of the bound, so that the connections are sorted again only after as many bytes.
    if (used <= memory.max / 2) break;
    forget(socket);
    socket.destroy();
    closed++;
  }
  memory.onClosed(closed);
}

/** Forgets what is counted for a connection. Call it when the connection closes. */
export function forget(socket: Socket): void {
  used -= connections.get(socket) ?? 0;
  connections.delete(socket);
}

/** The memory of a request without its texts, and of one text beside its characters, in bytes. */
const REQUEST_BYTES = 4 * 1024;
const TEXT_BYTES = 64;
/** Freed heads stay in V8's heap for a while: about as many bytes as the heads in use. */
const HEAP_FACTOR = 2;
/** The longest body that the option `bodyLimit` permits. A longer one is not kept. */
const MAX_BODY_BYTES = 1_000_000;
/** A longer URL is freed with the head, in characters. */
const LONG_URL = 256;

/** The head of every held poll. New objects would use 80 bytes for each. */
const NO_HEADERS = {};
const NO_TEXTS: string[] = [];

/** A request to a server of `serve`. Its methods are static, because Express replaces the prototype of every request. */
export class ServedRequest extends IncomingMessage {
  #counted = 0;

  /** Counts a request until its response is closed or its poll is held. */
  static count(req: ServedRequest, res: ServerResponse): void {
    if (req.#counted > 0 || req.rawHeaders.length === 0) return;
    let head = req.url?.length ?? 0;
    for (const text of req.rawHeaders) head += text.length + TEXT_BYTES;
    const { "content-length": length = memory.unknownBody } = req.headers;
    const body = hasBody(req) ? Math.min(Number(length), MAX_BODY_BYTES) : 0;
    ServedRequest.#add(req, res, REQUEST_BYTES + HEAP_FACTOR * head + body);
  }

  /** A listener for a response: counts what the connection could not send at once, until the response is closed. */
  static readonly countReply = function (this: ServerResponse<ServedRequest>): void {
    const bytes = this.socket?.writableLength ?? 0;
    if (bytes > 0) ServedRequest.#add(this.req, this, bytes);
  };

  /**
   * Frees the head of a poll that is held: a browser's uses 4 KB, and there are 10,000 polls. Requests to a server of the
   * host stay as they are.
   *
   * Also reads a request without a body to its end (RFC 9112, section 6.3). Otherwise Node does it after the reply, with
   * more work. Such a request emits neither "end" nor "close", but its response emits "close".
   */
  static freeHead(req: IncomingMessage): void {
    if (!(#counted in req)) return;
    if (!hasBody(req)) req.read();
    ServedRequest.#free(req);
    req.headers = NO_HEADERS;
    req.rawHeaders = NO_TEXTS;
    if ((req.url ?? "").length > LONG_URL) req.url = "";
  }

  static #add(req: ServedRequest, res: ServerResponse, bytes: number): void {
    if (req.#counted === 0) res.once("close", () => ServedRequest.#free(req));
    req.#counted += bytes;
    add(req.socket, bytes);
  }

  static #free(req: ServedRequest): void {
    if (req.#counted > 0) add(req.socket, -req.#counted);
    req.#counted = 0;
  }
}
