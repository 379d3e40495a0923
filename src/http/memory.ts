/**
 * Bounds on the memory that clients make the process use, over all connections: for requests that are not answered yet,
 * and for replies that are not read. At a bound, the connections that use most are closed.
 */
import type { Socket } from "node:net";

/** The most memory that requests use which are not answered yet, in bytes. */
const MAX_PENDING_BYTES = 16 * 1024 * 1024;

/**
 * Closes the connections that use most, until the others use no more than half of `max`. Half, so that the next look at
 * all connections comes only after as many bytes again.
 */
function closeLargest(
  sizes: readonly (readonly [Socket, number])[],
  max: number,
): { closed: number; left: number } {
  let left = 0;
  for (const [, size] of sizes) left += size;
  let closed = 0;
  for (const [socket, size] of sizes.toSorted(([, a], [, b]) => b - a)) {
    if (left <= max / 2) break;
    socket.destroy();
    left -= size;
    closed++;
  }
  return { closed, left };
}

/** Bounds the bytes of replies that are buffered, because their clients read too slowly. */
export class BufferedReplies {
  readonly #sockets: ReadonlySet<Socket>;
  readonly #max: number;
  // Not less than what is buffered: exact after a look at all sockets, then only added to.
  #bytes = 0;

  /**
   * @param sockets all connections
   * @param max the bound, in bytes
   */
  constructor(sockets: ReadonlySet<Socket>, max: number) {
    this.#sockets = sockets;
    this.#max = max;
  }

  /** Counts bytes that a socket could not send at once. Returns how many connections are closed because of them. */
  add(bytes: number): number {
    this.#bytes += bytes;
    if (this.#bytes <= this.#max) return 0;
    const sizes = [...this.#sockets].map((socket) => [socket, socket.writableLength] as const);
    const { closed, left } = closeLargest(sizes, this.#max);
    this.#bytes = left;
    return closed;
  }
}

/** Bounds the bytes of requests that are not answered yet. */
class PendingRequests {
  readonly #sizes = new Map<Socket, number>();
  #bytes = 0;

  /** Counts bytes that a connection's requests use, or, if negative, use no more. A closed connection uses none. */
  add(socket: Socket, bytes: number): void {
    if (socket.destroyed) return;
    const size = this.#sizes.get(socket);
    if (size === undefined) socket.once("close", () => this.#forget(socket));
    this.#sizes.set(socket, (size ?? 0) + bytes);
    this.#bytes += bytes;
    if (this.#bytes <= MAX_PENDING_BYTES) return;
    closeLargest([...this.#sizes], MAX_PENDING_BYTES);
    for (const other of this.#sizes.keys()) if (other.destroyed) this.#forget(other);
  }

  #forget(socket: Socket): void {
    this.#bytes -= this.#sizes.get(socket) ?? 0;
    this.#sizes.delete(socket);
  }
}

/** One for all chats of a process, since memory is the process's. */
export const pendingRequests = new PendingRequests();
