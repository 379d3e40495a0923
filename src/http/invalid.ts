/** Rejects what is no HTTP request, or comes too slowly, or is too large. */
import { type IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";

const STATUSES: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};

/**
 * Answers bytes that Node's parser does not accept, or a request that takes too long, with a bare status and closes. If the
 * client waits for the reply to an earlier request, it would take the status for that: then the connection only closes.
 */
export function rejectInvalid(error: NodeJS.ErrnoException, socket: Duplex): void {
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

/** Answers a head with too many fields with 431. Behind a pending reply, the connection only closes. */
export function rejectHead(req: IncomingMessage, res: ServerResponse): void {
  // Only the first response of a connection has its socket. To write to another one is never safe.
  if (res.socket === null) req.socket.destroy();
  else
    res
      .writeHead(431, { "X-Content-Type-Options": "nosniff", Connection: "close", "Content-Length": 0 })
      .end();
}
