/** How a server stops: every request that a client has sent is answered, and nobody is reset. */
import type { Server } from "node:http";
import { Server as NetServer, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";

/** How long no request must have come until idle connections are closed, in milliseconds: the next may be on its way. */
const QUIET_MS = 1_000;
/** How long queued connections are accepted at most, in milliseconds. */
const ACCEPT_MS = 2_000;

/**
 * Stops listening and closes connections as they become idle. Resolves when all are closed.
 * @param sockets all connections; from now on replies to their requests should have `Connection: close`
 */
export async function stopServer(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  await emptyQueue(server);
  let requests = 0;
  let before = 0;
  server.on("request", () => requests++);
  const closeIfQuiet = () => {
    if (requests === before) closeIdle(server, sockets);
    before = requests;
  };
  // A turn later, when what had come by then has been read.
  const timer = setInterval(() => setImmediate(closeIfQuiet), QUIET_MS).unref();
  // Not `server.close()`, which closes idle connections at once.
  await new Promise((resolve) => NetServer.prototype.close.call(server, resolve));
  clearInterval(timer);
}

/**
 * Accepts the connections that the system has queued: their clients take them for open and have sent requests. Node accepts
 * one in each turn of the event loop, so the queue is empty when a turn brings none.
 */
async function emptyQueue(server: Server): Promise<void> {
  let accepted = 0;
  server.on("connection", () => accepted++);
  const end = performance.now() + ACCEPT_MS;
  for (let before = -1; before !== accepted && performance.now() < end; ) {
    before = accepted;
    // The first ends this turn of the event loop, the second one that looks for connections.
    await nextTurn();
    await nextTurn();
  }
}

function closeIdle(server: Server, sockets: ReadonlySet<Socket>): void {
  // Node takes a connection for idle although a slow reader has not got all of its reply.
  for (const { writableLength } of sockets) if (writableLength > 0) return;
  server.closeIdleConnections();
  // Node does not take a connection for idle that never had a request.
  for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
}
