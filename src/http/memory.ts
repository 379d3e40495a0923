/** Bounds the memory that clients make the process use: by requests that are not answered and replies that are not read. */
import { IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** One bound for all servers of the process, because they share its memory. */
export const memory = {
  /** The bound over all connections, in bytes. */
  max: 24 * 1024 * 1024,
  /** Called with the number of connections that were closed at the bound. */
  onClosed: (_count: number): void => {},
  add,
};

/** The bytes of unanswered requests, for each connection that has had one, or a reply that was not read. */
const requests = new Map<Socket, number>();
// Never less than what is used. It is exact after a look at all connections; until the next one, replies only add to it.
let used = 0;

/**
 * Counts memory of a connection. At the bound, the connections that use most are closed.
 * @param request bytes of a request that is not answered yet; negative when they are free again
 * @param reply bytes of a reply that the connection could not send at once
 */
function add(socket: Socket, request: number, reply = 0): void {
  if (socket.destroyed) return;
  const before = requests.get(socket);
  if (before === undefined) socket.once("close", () => forget(socket));
  requests.set(socket, (before ?? 0) + request);
  used += request + reply;
  if (used > memory.max) closeLargest();
}

function closeLargest(): void {
  const sizes = Array.from(requests, ([socket, bytes]) => ({ socket, size: bytes + socket.writableLength }));
  used = sizes.reduce((sum, { size }) => sum + size, 0);
  let closed = 0;
  for (const { socket, size } of sizes.sort((a, b) => b.size - a.size)) {
    // Half of the bound, so that the next look at all connections comes only after as many bytes again.
    if (used <= memory.max / 2) break;
    used -= size;
    requests.delete(socket);
    socket.destroy();
    closed++;
  }
  if (closed > 0) memory.onClosed(closed);
}

function forget(socket: Socket): void {
  used -= requests.get(socket) ?? 0;
  requests.delete(socket);
}

/** The memory of a text in a head, beside its characters, in bytes. Measured on Node 20, with the lists that it is in. */
const TEXT_BYTES = 64;
/** A longer URL is freed with the head, in characters. */
const LONG_URL = 256;

/** A request to a server of `serve`. */
export class ServedRequest extends IncomingMessage {
  #counted = 0;

  /** Counts the head until the reply is sent or the poll is held. */
  count(res: ServerResponse): void {
    if (this.#counted > 0 || this.rawHeaders.length === 0) return;
    this.#counted = this.url?.length ?? 0;
    for (const text of this.rawHeaders) this.#counted += text.length + TEXT_BYTES;
    memory.add(this.socket, this.#counted);
    res.once("close", () => this.#uncount());
  }

  /**
   * Frees the head of a poll that is held: a browser's uses 4 KB, and there are 10,000 polls.
   *
   * Also reads a request without a body to its end (RFC 9112, section 6.3). Otherwise Node does it after the reply, with
   * more work. Such a request emits neither "end" nor "close", but its response does.
   */
  hold(): void {
    const { "content-length": length, "transfer-encoding": coding } = this.headers;
    if (length === undefined && coding === undefined) this.read();
    if (this.#counted > 0) this.#uncount();
    this.headers = {};
    this.rawHeaders = [];
    if ((this.url ?? "").length > LONG_URL) this.url = "";
  }

  #uncount(): void {
    memory.add(this.socket, -this.#counted);
    this.#counted = 0;
  }
}
