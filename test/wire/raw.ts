/** Requests over bare sockets. */
import { connect } from "node:net";

/** Everything received on a connection until it closed. */
export interface Heard {
  readonly statuses: number[];
  readonly text: string;
}

/** Sends bytes without ending the connection. Returns everything received until the server closes. */
export function hear(port: number, bytes: string | Buffer): Promise<Heard> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let text = "";
    socket.setEncoding("latin1").on("data", (piece: string) => {
      text += piece;
    });
    // A reset also closes a connection.
    socket.on("error", () => {});
    socket.on("close", () => resolve({ statuses: statuses(text), text }));
    socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  });
}

/** Returns the statuses of all replies in a stream. */
export function statuses(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
}
