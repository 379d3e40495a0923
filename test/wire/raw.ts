/** Requests over bare sockets. */
import { connect } from "node:net";

/** Opens a connection and sends bytes, without ending it. What it receives is collected. */
export function dial(port: number, bytes: string | Buffer = "") {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  let text = "";
  socket.setEncoding("latin1").on("data", (piece: string) => {
    text += piece;
  });
  socket.on("error", () => {}).on("end", () => socket.end());
  /** Resolves with everything received when the server has closed the connection, also by a reset. */
  const closed = new Promise<{ statuses: number[]; text: string }>((resolve) => {
    socket.on("close", () => resolve({ statuses: statuses(text), text }));
  });
  const send = (more: string | Buffer) => {
    socket.write(typeof more === "string" ? Buffer.from(more, "latin1") : more);
  };
  if (bytes.length > 0) send(bytes);
  return { socket, text: () => text, closed, send };
}

/** Sends bytes without ending the connection. Returns everything received until the server closes. */
export function hear(port: number, bytes: string | Buffer) {
  return dial(port, bytes).closed;
}

/** Returns the statuses of all replies in a stream. */
export function statuses(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
}

/** Returns a GET as bytes. */
export function get(path: string, ...lines: readonly string[]): string {
  return `${[`GET ${path} HTTP/1.1`, "Host: x", ...lines].join("\r\n")}\r\n\r\n`;
}

/** Returns a POST of a form as bytes. */
export function post(path: string, body: string, ...lines: readonly string[]): string {
  const form = ["Content-Type: application/x-www-form-urlencoded", `Content-Length: ${body.length}`];
  return `${[`POST ${path} HTTP/1.1`, "Host: x", ...lines, ...form].join("\r\n")}\r\n\r\n${body}`;
}
