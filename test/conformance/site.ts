/** The server under test: requests over node:http, and over bare sockets where a client library would refuse. */
import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import { connect, type Socket } from "node:net";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { Fault, show } from "./fault.js";

export interface Ask {
  readonly method?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: string | Buffer;
  readonly signal?: AbortSignal;
  /** The connections of the request. Default: those of the site. */
  readonly agent?: http.Agent | undefined;
}

export interface Reply {
  /** The request, in one line. */
  readonly sent: string;
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
  /** The time from the request to the end of the reply, in milliseconds. */
  readonly took: number;
}

/** One reply from a bare socket. */
export interface RawReply {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

export const FORM = { "Content-Type": "application/x-www-form-urlencoded" };
export const JSON_TYPE = { "Content-Type": "application/json" };
/** The `Accept` header of a browser that opens a page. */
export const HTML = { Accept: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8" };

/** Returns the session's cookie of a reply as a browser sends it back, or an empty text. */
export function cookieOf({ headers }: Pick<Reply, "headers">): string {
  return headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
}

/** The pause between two pieces of a request, so that each is a packet, in milliseconds. */
const PIECE_GAP = 30;
/** The idle limit of a socket in `raw`, in milliseconds. */
const RAW_LIMIT = 15_000;

export class Site {
  /** The URL of the chat, with a slash at the end. */
  readonly base: URL;
  /** All 429 replies. */
  readonly slowed: Reply[] = [];
  readonly #agent: http.Agent | https.Agent;

  constructor(url: string) {
    this.base = new URL(url.endsWith("/") ? url : `${url}/`);
    const options = { keepAlive: true, maxSockets: 1000 };
    this.#agent = this.base.protocol === "https:" ? new https.Agent(options) : new http.Agent(options);
  }

  /** Returns the request target of a path that is relative to the chat's root. */
  target(path: string): string {
    return this.base.pathname + path;
  }

  /** Sends a request and returns its reply, as `exchange` does. `path` is relative to the chat's root. */
  ask(path: string, ask: Ask = {}): Promise<Reply> {
    return exchange(this.base, this.target(path), { agent: this.#agent, ...ask });
  }

  /** Opens a socket to the server. */
  connect(): Socket {
    const { protocol, hostname, port } = this.base;
    const host = hostname.replace(/^\[|\]$/g, "");
    const socket =
      protocol === "https:"
        ? connectTls({ host, port: Number(port || 443), servername: host })
        : connect({ host, port: Number(port || 80) });
    // A reset also closes a connection.
    return socket.setNoDelay().on("error", () => {});
  }

  /** Sends pieces, one packet each. Returns everything that the server sends until it closes. */
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

  /** Returns the head of a request without the empty line at its end. */
  head(method: string, path: string, ...headers: readonly string[]): string {
    const lines = [`${method} ${this.target(path)} HTTP/1.1`, `Host: ${this.base.host}`, ...headers];
    return `${lines.join("\r\n")}\r\n`;
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Sends a request and returns its reply. Redirects are not followed. `target` is sent unchanged. */
export async function exchange({ protocol, hostname, port }: URL, target: string, ask: Ask): Promise<Reply> {
  const { body, method = "GET", headers = {}, ...options } = ask;
  const sent = line(method, target, headers, body);
  const began = performance.now();
  const [library, usual] = protocol === "https:" ? [https, 443] : [http, 80];
  const server = { host: hostname.replace(/^\[|\]$/g, ""), port: port || usual };
  try {
    const request = library.request({ ...options, ...server, path: target, method, headers });
    // After the response has begun, its own error says the same.
    request.on("error", () => {}).end(body);
    const [res]: http.IncomingMessage[] = await once(request, "response");
    if (!res) throw new Error("no response");
    const whole = await buffer(res);
    const took = performance.now() - began;
    return { sent, status: res.statusCode ?? 0, headers: res.headers, body: whole.toString(), took };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Fault(sent, "a reply", `no reply: ${code ?? message}`);
  }
}

/** Parses the replies in the bytes of a socket. A body has a length, or chunks, or ends with the connection. */
export function repliesIn(text: string): RawReply[] {
  const replies: RawReply[] = [];
  for (let at = 0; ; ) {
    const end = text.indexOf("\r\n\r\n", at);
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(text.slice(at, at + 12))?.[1];
    if (end < 0 || status === undefined) return replies;
    const head = text.slice(at, end);
    const [body, next] = bodyAt(text, head, end + 4);
    at = next;
    // 100 is not a final reply.
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

/** Returns a request as one readable line. */
function line(
  method: string,
  target: string,
  headers: http.OutgoingHttpHeaders,
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
