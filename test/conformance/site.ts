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
    const { host, port, isSecure } = addressOf(this.base);
    const socket = isSecure ? connectTls({ host, port, servername: host }) : connect({ host, port });
    // A reset also closes a connection.
    return socket.setNoDelay().on("error", () => {});
  }

  /** Sends pieces, one packet each. Returns everything that the server sends until it closes. */
  async raw(...pieces: readonly (string | Buffer)[]): Promise<string> {
    const socket = this.connect();
    socket.setTimeout(RAW_LIMIT, () => socket.destroy());
    let all = "";
    socket.setEncoding("latin1").on("data", (piece: string) => {
      all += piece;
    });
    const closed = new Promise((resolve) => socket.on("close", resolve));
    for (const piece of pieces) {
      socket.write(piece);
      if (pieces.length > 1) await sleep(PIECE_GAP);
    }
    await closed;
    return all;
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

function addressOf({ protocol, hostname, port }: URL) {
  const isSecure = protocol === "https:";
  const host = hostname.replace(/^\[|\]$/g, "");
  return { host, port: Number(port || (isSecure ? 443 : 80)), isSecure };
}

/** Sends a request and returns its reply. Redirects are not followed. `target` is sent unchanged. */
export async function exchange(server: URL, target: string, ask: Ask): Promise<Reply> {
  const { body, method = "GET", headers = {}, ...options } = ask;
  const shown = Object.entries(headers).flatMap(([name, value]) =>
    name === "Cookie" || value === FORM["Content-Type"] ? [] : [` [${name}: ${value}]`],
  );
  const sent = `${method} ${target}${shown.join("")}${body === undefined ? "" : ` ${show(String(body))}`}`;
  const began = performance.now();
  const { host, port, isSecure } = addressOf(server);
  try {
    const library = isSecure ? https : http;
    const request = library.request({ ...options, host, port, path: target, method, headers });
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

/** Splits the bytes of a socket at each status line. A body may be chunked. */
export function repliesIn(bytes: string): { status: number; text: string }[] {
  const texts = bytes.split(/(?=HTTP\/1\.[01] \d{3}[^\r\n]*\r\n)/).filter(Boolean);
  const replies = texts.map((text) => ({ status: Number(text.slice(9, 12)), text }));
  // 100 is not a final reply.
  return replies.filter(({ status }) => status >= 200);
}
