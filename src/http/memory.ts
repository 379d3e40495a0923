/** Bounds the memory that clients make the process use: by requests that are not answered and replies that are not read. */
import { IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
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

/** The last request of a connection that was answered before its body had arrived. */
export const repliedEarly = new WeakMap<Duplex, IncomingMessage>();

/** The counted requests of each connection, and the bytes of all of them. */
const connections = new Map<Socket, Set<ServedRequest>>();
let used = 0;

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
    if (req.rawHeaders.length === 0) return;
    let head = req.url?.length ?? 0;
    for (const text of req.rawHeaders) head += text.length + TEXT_BYTES;
    const { "content-length": length = memory.unknownBody } = req.headers;
    const body = hasBody(req) ? Math.min(Number(length), MAX_BODY_BYTES) : 0;
    ServedRequest.#add(req, res, REQUEST_BYTES + HEAP_FACTOR * head + body);
  }

  /** A listener for a response: counts what the connection could not send at once, until the response is closed. */
  static readonly countReply = function (this: ServerResponse<ServedRequest>): void {
    if (!this.req.complete) repliedEarly.set(this.req.socket, this.req);
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

  /** Forgets what is counted for a connection. Call it when the connection closes. */
  static forget(socket: Socket): void {
    for (const req of connections.get(socket) ?? []) ServedRequest.#free(req);
  }

  /** Counts bytes of a request. Beyond the bound, the connections with the most bytes are closed. */
  static #add(req: ServedRequest, res: ServerResponse, bytes: number): void {
    const { socket } = req;
    if (socket.destroyed) return;
    if (req.#counted === 0) {
      res.once("close", () => ServedRequest.#free(req));
      connections.set(socket, (connections.get(socket) ?? new Set()).add(req));
    }
    req.#counted += bytes;
    used += bytes;
    if (used > memory.max) ServedRequest.#closeLargest();
  }

  static #free(req: ServedRequest): void {
    if (req.#counted === 0) return;
    used -= req.#counted;
    req.#counted = 0;
    const requests = connections.get(req.socket);
    requests?.delete(req);
    if (requests?.size === 0) connections.delete(req.socket);
  }

  static #closeLargest(): void {
    const bytesOf = (requests: ReadonlySet<ServedRequest>) =>
      [...requests].reduce((sum, req) => sum + req.#counted, 0);
    let closed = 0;
    for (const requests of [...connections.values()].sort((a, b) => bytesOf(b) - bytesOf(a))) {
      // Half of the bound, so that the connections are sorted again only after as many bytes.
      if (used <= memory.max / 2) break;
      for (const req of requests) {
        ServedRequest.#free(req);
        req.socket.destroy();
        // Both free the body. Node does that only after it has read from all connections with new bytes: up to 2 GB were kept.
        req.read();
        req.destroy();
      }
      closed++;
    }
    memory.onClosed(closed);
  }
}
