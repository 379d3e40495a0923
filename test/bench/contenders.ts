/** Who is compared: how each server is started, how one logs in, polls and posts there. */
import type { Client, Dialect, Said } from "./clients.js";
import { ServerUnderTest } from "./server.js";

export interface Contender {
  readonly name: string;
  /** Starts it. */
  start(): Promise<ServerUnderTest>;
  /** One header (with its line end) for each of `count` clients and one poster: their log-ins. */
  logIn(url: string, count: number): Promise<string[]>;
  /** The cursor that each client begins with. */
  begin(url: string, header: string): Promise<string>;
  readonly dialect: Dialect;
  /** The request that posts a text. */
  post(header: string, text: string): string;
}

const FORM = "Content-Type: application/x-www-form-urlencoded\r\n";

function get(path: string, header: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: bench\r\n${header}\r\n`;
}

function postForm(path: string, header: string, text: string): string {
  const body = `message=${encodeURIComponent(text)}`;
  return `POST ${path} HTTP/1.1\r\nHost: bench\r\n${header}${FORM}Content-Length: ${body.length}\r\n\r\n${body}`;
}

interface Batch {
  readonly cursor: string;
  readonly messages: readonly { readonly text: string; readonly kind?: string }[];
}

function readBatch(body: string): Said {
  const { cursor, messages } = JSON.parse(body) as Batch;
  return { cursor, texts: messages.filter(({ kind }) => kind === undefined).map(({ text }) => text) };
}

const holdline: Contender = {
  name: "holdline",
  start: () =>
    ServerUnderTest.start(
      new URL("../../../dist/server.js", import.meta.url),
      ..."--port 0 --data none --post-rate 0 --login-rate 0 --max-waiters 20000 --backlog 10000".split(" "),
    ),
  async logIn(url, count) {
    const headers: string[] = [];
    for (let n = 0; n <= count; n++) {
      const body = new URLSearchParams({ name: `user ${n}` });
      const reply = await fetch(`${url}/login`, { method: "POST", body, redirect: "manual" });
      headers.push(`Cookie: ${reply.headers.get("set-cookie")?.split(";")[0]}; user=${n}\r\n`);
      await reply.text();
    }
    return headers;
  },
  async begin(url, header) {
    const cookie = header.slice(8).trim();
    const name = encodeURIComponent(nameOf(header));
    const reply = await fetch(`${url}/get_post/${name}?since=now&wait=0`, { headers: { Cookie: cookie } });
    return ((await reply.json()) as Batch).cursor;
  },
  dialect: {
    poll: ({ header, cursor }: Client) =>
      get(`/get_post/${encodeURIComponent(nameOf(header))}?since=${cursor}&wait=25&client=bench`, header),
    read: readBatch,
  },
  post: (header, text) => postForm(`/put_post/${encodeURIComponent(nameOf(header))}`, header, text),
};

function nameOf(header: string): string {
  return `user ${/user=(\d+)/.exec(header)?.[1]}`;
}

const bare: Contender = {
  name: "bare",
  start: () => ServerUnderTest.start(new URL("../servers/bare.mjs", import.meta.url)),
  // It has no log-ins, but reads as long a request as the others do.
  logIn: async (_, count) =>
    Array.from({ length: count + 1 }, (_, n) => `Cookie: holdline=${"x".repeat(120)}; user=${n}\r\n`),
  begin: async () => "0",
  dialect: {
    poll: ({ header, cursor }) => get(`/get_post/user%20n?since=${cursor}&wait=25&client=bench`, header),
    read: readBatch,
  },
  post: (header, text) => postForm("/post", header, text),
};

export const CONTENDERS: readonly Contender[] = [holdline, bare];
