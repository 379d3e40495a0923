/** A feed over real HTTP, and clients that write bytes. */
import { connect, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import { ask } from "../http/listen.js";

/** One request on a connection of its own. Rejects if the connection is closed without a reply. */
export async function request(url: string, options: { method?: string; signal?: AbortSignal } = {}) {
  const [, port, path = ""] = /:(\d+)(\/.*)$/.exec(url) ?? [];
  const { body, ...reply } = await ask(Number(port), path, options);
  return { ...reply, body: body.toString() };
}

/** The JSON of a reply. */
export async function json(url: string): Promise<Record<string, unknown>> {
  return JSON.parse((await request(url)).body);
}

/** A connection that sends only given bytes. */
export class Raw {
  readonly socket: Socket;
  /** Everything that came back. */
  text = "";
  readonly closed: Promise<unknown>;

  constructor(port: number) {
    this.socket = connect(port, "127.0.0.1");
    this.socket.setEncoding("utf8").on("data", (chunk: string) => {
      this.text += chunk;
    });
    // A reset is one way to close.
    this.socket.on("error", () => {});
    this.closed = new Promise((resolve) => this.socket.on("close", resolve));
    onTestFinished(() => void this.socket.destroy());
  }

  /** Sends requests in one piece. */
  send(...requests: string[]): void {
    this.socket.write(requests.join(""));
  }

  /** The status lines that came back. */
  get statuses(): number[] {
    return [...this.text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
  }

  /** The events of all replies. */
  get events(): unknown[] {
    return [...this.text.matchAll(/\r\n\r\n(\{[^\r\n]*\})/g)].flatMap(
      ([, body = "{}"]) => JSON.parse(body).events,
    );
  }
}

/** A GET with this query. */
export const line = (query: string, headers = "") => `GET /?${query} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;
