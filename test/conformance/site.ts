/** The server under test, as a stranger sees it: requests over node:http, and by the byte where a client library would not. */
import http from "node:http";
import https from "node:https";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { Fault, show } from "./fault.js";

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly signal?: AbortSignal;
}

export interface Reply {
  /** The request, in one line. */
  readonly sent: string;
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
  /** From the request to the end of the reply, in milliseconds. */
  readonly took: number;
}

/** One reply read off a socket. */
export interface RawReply {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

export const FORM = { "Content-Type": "application/x-www-form-urlencoded" };
export const JSON_TYPE = { "Content-Type": "application/json" };
/** What a browser accepts that goes to a page. */
export const HTML = { Accept: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8" };

/** Between two pieces of a request, so that they travel apart, in milliseconds. */
const PIECE_GAP = 30;
/** How long a socket may stay silent in `raw`, in milliseconds. */
const RAW_LIMIT = 15_000;

export class Site {
  /** Where the chat is mounted; ends with a slash. */
  readonly base: URL;
  /** Every 429 that was seen. */
  readonly slowed: Reply[] = [];
  readonly #agent: http.Agent | https.Agent;

  constructor(url: string) {
    this.base = new URL(url.endsWith("/") ? url : `${url}/`);
    const options = { keepAlive: true, maxSockets: 1000 };
    this.#agent = this.base.protocol === "https:" ? new https.Agent(options) : new http.Agent(options);
  }

  /** The request target of a path below the mount. */
  target(path: string): string {
    return this.base.pathname + path;
  }

  /** One request, one reply; redirects are not followed. `path` is from the chat's root and goes out as it is. */
  ask(path: string, { body, headers = {}, method = "GET", signal }: Ask = {}): Promise<Reply> {
    const sent = line(method, this.target(path), headers, body);
    const began = performance.now();
    return new Promise((resolve, reject) => {
      const { protocol, hostname, port } = this.base;
      const request = (protocol === "https:" ? https : http).request({
        agent: this.#agent,
        host: hostname.replace(/^\[|\]$/g, ""),
        port: port || (protocol === "https:" ? 443 : 80),
        path: this.target(path),
        method,
        headers,
        ...(signal ? { signal } : {}),
      });
      const fail = (error: NodeJS.ErrnoException) =>
        reject(new Fault(sent, "a reply", `no reply: ${error.code ?? error.message}`));
      request.on("error", fail);
      request.on("response", (res) => {
        const chunks: Buffer[] = [];
        res.on("data", (chunk: Buffer) => chunks.push(chunk)).on("error", fail);
        res.on("end", () =>
          resolve({
            sent,
            status: res.statusCode ?? 0,
            headers: res.headers,
            body: Buffer.concat(chunks).toString(),
            took: performance.now() - began,
          }),
        );
      });
      request.end(body);
    });
  }

  /** A socket to the server. */
  connect(): Socket {
    const { protocol, hostname, port } = this.base;
    const host = hostname.replace(/^\[|\]$/g, "");
    const socket =
      protocol === "https:"
        ? connectTls({ host, port: Number(port || 443), servername: host })
        : connect({ host, port: Number(port || 80) });
    // A reset is a way to close.
    return socket.setNoDelay().on("error", () => {});
  }

  /** Sends pieces, one packet each, and gives all that comes back until the server closes. */
  async raw(...pieces: readonly (string | Buffer)[]): Promise<string> {
    const socket = this.connect();
    let text = "";
    socket.setEncoding("latin1").on("data", (piece: string) => {
      text += piece;
    });
    socket.setTimeout(RAW_LIMIT, () => socket.destroy());
    const closed = new Promise((resolve) => socket.on("close", resolve));
    for (const piece of pieces) {
      socket.write(piece);
      if (pieces.length > 1) await sleep(PIECE_GAP);
    }
    await closed;
    return text;
  }

  /** The head of a request by hand, without the empty line. */
  head(method: string, path: string, ...headers: readonly string[]): string {
    const lines = [`${method} ${this.target(path)} HTTP/1.1`, `Host: ${this.base.host}`, ...headers];
    return `${lines.join("\r\n")}\r\n`;
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** The replies in what came off a socket. Bodies by length or in chunks; one that goes on until the end is the last. */
export function repliesIn(text: string): RawReply[] {
  const replies: RawReply[] = [];
  for (let at = 0; ; ) {
    const end = text.indexOf("\r\n\r\n", at);
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(text.slice(at, at + 12))?.[1];
    if (end < 0 || status === undefined) return replies;
    const head = text.slice(at, end);
    const [body, next] = bodyAt(text, head, end + 4);
    at = next;
    // 100 is a reply to nothing.
    if (Number(status) >= 200) replies.push({ status: Number(status), head, body });
  }
}

function bodyAt(text: string, head: string, start: number): [body: string, next: number] {
  if (/\r\ntransfer-encoding: *chunked/i.test(head)) {
    let body = "";
    for (let at = start; ; ) {
      const line = text.indexOf("\r\n", at);
      const size = Number.parseInt(text.slice(at, line), 16);
      if (line < 0 || !(size > 0)) return [body, line < 0 ? text.length : line + 4];
      body += text.slice(line + 2, line + 2 + size);
      at = line + 4 + size;
    }
  }
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  const next = length === undefined ? text.length : start + Number(length);
  return [text.slice(start, next), next];
}

/** A request in one line, as a reader would type it. */
function line(
  method: string,
  target: string,
  headers: Readonly<Record<string, string>>,
  body: string | Buffer | undefined,
): string {
  const shown = Object.entries(headers)
    .filter(
      ([name, value]) => name !== "Cookie" && !(name === "Content-Type" && value === FORM["Content-Type"]),
    )
    .map(([name, value]) => ` [${name}: ${value}]`)
    .join("");
  return `${method} ${target}${shown}${body === undefined ? "" : ` ${show(String(body))}`}`;
}
