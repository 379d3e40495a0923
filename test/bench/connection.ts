/** One HTTP connection of the load: what is written goes out at once, replies are handed over whole. */
import { connect, type Socket } from "node:net";

export interface Reply {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

const NOTHING: Buffer = Buffer.alloc(0);

export class Connection {
  /** Called with each whole reply, head and all. */
  onReply: (bytes: Buffer) => void = () => {};
  /** Called with the reason when the other side ends it. */
  onEnd: (why: string) => void = () => {};
  readonly #socket: Socket;
  #rest = NOTHING;
  #isClosing = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static open(port: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true });
      const connection = new Connection(socket);
      socket.once("connect", () => resolve(connection));
      socket.on("error", reject);
      socket.on("data", (bytes: Buffer) => connection.#receive(bytes));
      socket.on("close", () => {
        if (!connection.#isClosing) connection.onEnd("the connection was closed");
      });
    });
  }

  write(request: string): void {
    this.#socket.write(request, "latin1");
  }

  /** One request and its reply. Throws unless the status is below 400. */
  exchange(request: string): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.onEnd = (why) => reject(new Error(why));
      this.onReply = (bytes) => {
        const reply = readReply(bytes);
        if (reply.status < 400) resolve(reply);
        else reject(new Error(`${request.split("\r\n")[0]} was answered with ${reply.head} ${reply.body}`));
      };
      this.write(request);
    });
  }

  close(): void {
    this.#isClosing = true;
    this.#socket.destroy();
  }

  #receive(bytes: Buffer): void {
    let rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    for (let length = lengthOf(rest); length > 0; length = lengthOf(rest)) {
      const reply = rest.subarray(0, length);
      rest = rest.subarray(length);
      this.onReply(reply);
    }
    this.#rest = rest;
  }
}

/** How long the reply is that these bytes begin with; 0 while part of it is missing. */
function lengthOf(bytes: Buffer): number {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return 0;
  const head = bytes.toString("latin1", 0, end);
  const body = Number(/content-length: *(\d+)/i.exec(head)?.[1] ?? 0);
  if (/transfer-encoding/i.test(head)) throw new Error(`the load reads no chunks: ${head}`);
  return bytes.length < end + 4 + body ? 0 : end + 4 + body;
}

/** Takes a whole reply apart. */
export function readReply(bytes: Buffer): Reply {
  const end = bytes.indexOf("\r\n\r\n");
  const head = bytes.toString("latin1", 0, end);
  return { status: Number(head.slice(9, 12)), head, body: bytes.toString("utf8", end + 4) };
}
