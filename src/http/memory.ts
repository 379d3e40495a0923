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
  const before = connections.get(socket);
  if (before === undefined) socket.once("close", () => forget(socket));
  connections.set(socket, (before ?? 0) + bytes);
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

function forget(socket: Socket): void {
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

/** A request to a server of `serve`. */
export class ServedRequest extends IncomingMessage {
  #counted = 0;

  /** Counts the request until its response is closed or its poll is held. */
  count(res: ServerResponse): void {
    if (this.#counted > 0 || this.rawHeaders.length === 0) return;
    let head = this.url?.length ?? 0;
    for (const text of this.rawHeaders) head += text.length + TEXT_BYTES;
    const { "content-length": length = memory.unknownBody } = this.headers;
    const body = hasBody(this) ? Math.min(Number(length), MAX_BODY_BYTES) : 0;
    this.#add(res, REQUEST_BYTES + HEAP_FACTOR * head + body);
  }

  /** Counts a reply that the connection could not send at once, until the response is closed. */
  countReply(res: ServerResponse): void {
    const bytes = res.socket?.writableLength ?? 0;
    if (bytes > 0) this.#add(res, bytes);
  }

  /**
   * Frees the head of a poll that is held: a browser's uses 4 KB, and there are 10,000 polls.
   *
   * Also reads a request without a body to its end (RFC 9112, section 6.3). Otherwise Node does it after the reply, with
   * more work. Such a request emits neither "end" nor "close", but its response emits "close".
   */
  hold(): void {
    if (!hasBody(this)) this.read();
    this.#free();
    this.headers = NO_HEADERS;
    this.rawHeaders = NO_TEXTS;
    if ((this.url ?? "").length > LONG_URL) this.url = "";
  }

  #add(res: ServerResponse, bytes: number): void {
    if (this.#counted === 0) res.once("close", () => this.#free());
    this.#counted += bytes;
    add(this.socket, bytes);
  }

  #free(): void {
    if (this.#counted > 0) add(this.socket, -this.#counted);
    this.#counted = 0;
  }
}
