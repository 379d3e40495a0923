/** Rejects bytes that are not an HTTP request, and requests that are too slow or too large. */
import { ServerResponse } from "node:http";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";

const STATUSES: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};
const HEADERS = "X-Content-Type-Options: nosniff\r\nConnection: close\r\nContent-Length: 0";

/**
 * Answers bytes that Node's parser rejects, or a request that takes too long, with a bare status, and closes. While the
 * client waits for an earlier reply it only closes, because the client would take the status for that reply.
 */
export function rejectInvalid({ code = "" }: NodeJS.ErrnoException, socket: Duplex): void {
  // Bytes behind a request with `Connection: close`. The reply to that request closes the connection.
  if (code === "HPE_CLOSED_CONNECTION") return;
  // The connection closes once its buffer is sent.
  if (socket.writableEnded) return;
  // A browser connects in advance, and would take a status now for the reply to its next request.
  if (!(socket instanceof Socket) || socket.bytesRead === 0 || !socket.writable) {
    socket.destroy();
    return;
  }
  if (!isReplyPending(socket)) {
    socket.write(`HTTP/1.1 ${STATUSES[code] ?? "400 Bad Request"}\r\n${HEADERS}\r\n\r\n`);
  }
  socket.destroySoon();
}

/** Whether a complete request waits for its reply, or a reply has begun. Node stores the current response at the socket. */
function isReplyPending(socket: Socket): boolean {
  const response = "_httpMessage" in socket ? socket._httpMessage : undefined;
  return response instanceof ServerResponse && (response.req.complete || response.headersSent);
}
