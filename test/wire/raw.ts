/** Requests by the byte, as no client library would send them. */
import { connect } from "node:net";

/** What came back on a connection until it closed. */
export interface Heard {
  readonly statuses: number[];
  readonly text: string;
}

/** Sends bytes, ends nothing, and gives all that comes back until the server closes. */
export function hear(port: number, bytes: string | Buffer): Promise<Heard> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let text = "";
    socket.setEncoding("latin1").on("data", (piece: string) => {
      text += piece;
    });
    // A reset is a way to close.
    socket.on("error", () => {});
    socket.on("close", () => resolve({ statuses: statuses(text), text }));
    socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  });
}

/** The statuses of all replies in a stream. */
export function statuses(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
}
