/** Requests over bare sockets. */
import { connect, type Socket } from "node:net";

/** Everything received on a connection until it closed. */
export interface Heard {
  readonly statuses: number[];
  readonly text: string;
}

/** A connection that collects what it receives. */
export interface Line {
  readonly socket: Socket;
  /** What was received so far. */
  readonly text: () => string;
  /** Resolves when the server has closed the connection, also by a reset. */
  readonly closed: Promise<Heard>;
  send(bytes: string): void;
}

/** Opens a connection and sends bytes, without ending it. */
export function dial(port: number, bytes: string | Buffer = ""): Line {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  let text = "";
  socket.setEncoding("latin1").on("data", (piece: string) => {
    text += piece;
  });
  socket.on("error", () => {}).on("end", () => socket.end());
  const closed = new Promise<Heard>((resolve) => {
    socket.on("close", () => resolve({ statuses: statuses(text), text }));
  });
  const send = (more: string | Buffer) => {
    socket.write(typeof more === "string" ? Buffer.from(more, "latin1") : more);
  };
  if (bytes.length > 0) send(bytes);
  return { socket, text: () => text, closed, send };
}

/** Sends bytes without ending the connection. Returns everything received until the server closes. */
export function hear(port: number, bytes: string | Buffer): Promise<Heard> {
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
