/** Stops a server: every request that a client has sent is answered, and no connection is reset. */
import type { Server } from "node:http";
import { Server as NetServer, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";

/** Idle connections are closed after so long without a request, in milliseconds. The next one may be on its way. */
const QUIET_MS = 1_000;
/** How long queued connections are accepted at most, in milliseconds. */
const ACCEPT_MS = 2_000;

/**
 * Stops listening and closes connections as they become idle. Resolves when all are closed.
 * @param sockets all connections; from now on replies to their requests should have `Connection: close`
 */
export async function stopServer(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  await acceptQueued(server);
  let isQuiet = true;
  server.on("request", () => {
    isQuiet = false;
  });
  const closeIfQuiet = () => {
    // In a busy process, the next request of any connection may wait to be read.
    if (isQuiet) closeIdle(server, sockets);
    isQuiet = true;
  };
  // A turn later, when the requests that have arrived by then are read.
  const timer = setInterval(() => setImmediate(closeIfQuiet), QUIET_MS).unref();
  // Not `server.close()`, which closes idle connections at once.
  await new Promise((resolve) => NetServer.prototype.close.call(server, resolve));
  clearInterval(timer);
}

/**
 * Accepts the connections that the system has queued. Their clients have sent requests already. Node accepts one in each
 * turn of the event loop, so the queue is empty after a turn without a connection.
 */
async function acceptQueued(server: Server): Promise<void> {
  let accepted = 0;
  server.on("connection", () => accepted++);
  const end = performance.now() + ACCEPT_MS;
  for (let before = -1; before !== accepted && performance.now() < end; ) {
    before = accepted;
    // The first one ends this turn of the event loop, and the second one a turn that looks for connections.
    await nextTurn();
    await nextTurn();
  }
}

function closeIdle(server: Server, sockets: ReadonlySet<Socket>): void {
  // For Node, a connection is idle although a slow reader has not received all of its reply.
  for (const { writableLength } of sockets) if (writableLength > 0) return;
  server.closeIdleConnections();
  // For Node, a connection that never had a request is not idle.
  for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
}
