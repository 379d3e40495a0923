/** The client and the chat over HTTP, with connections that fail, and a server that stops and starts again. */
import { once } from "node:events";
import type { RequestListener } from "node:http";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type LongPollOptions, longPoll, type State } from "../../src/client/index.js";
import { chatPerTest } from "../wire/chat.js";

/** Handles one request; `good` leaves it to the chat. */
type Fault = (...args: [...Parameters<RequestListener>, good: () => void]) => void;

const startChat = chatPerTest();
const good: Fault = (_req, _res, good) => good();
let stop: AbortController;
let fault: Fault;

beforeEach(() => {
  // The shortest back-off each time. The tests wait for events, not for it.
  vi.spyOn(Math, "random").mockReturnValue(0);
  stop = new AbortController();
  fault = good;
});
afterEach(() => {
  stop.abort();
  vi.restoreAllMocks();
});

const start = () =>
  startChat({
    identify: () => "ann",
    wrap: (handler) => (req, res) => fault(req, res, () => handler(req, res)),
  });
const room = (base: string, options: Partial<LongPollOptions> = {}) =>
  longPoll({ base, user: "ann", signal: stop.signal, ...options });

/** Reads until there are `count` texts. */
async function read(count: number, base: string, options: Partial<LongPollOptions> = {}): Promise<string[]> {
  const texts: string[] = [];
  for await (const { messages } of room(base, options).batches) {
    texts.push(...messages.flatMap(({ kind, text }) => (kind ? [] : [text])));
    if (texts.length >= count) break;
  }
  return texts;
}

test("each message is kept once and arrives once, in order, although connections fail in many ways", async () => {
  const faults: Fault[] = [
    good,
    (req) => req.socket.destroy(),
    (_req, res) => res.writeHead(302, { location: "/healthz" }).end(),
    (_req, res, good) => {
      // The chat handles the request, and half of its reply is lost.
      res.write = () => false;
      res.end = () => res.destroy();
      good();
    },
    good,
    (_req, res) =>
      res.writeHead(200, { "content-length": 999 }).write('{"cursor":"9-0","pres', () => res.destroy()),
    (_req, res) => res.writeHead(502).end("<h1>Bad gateway</h1>"),
    good,
    (_req, res) =>
      res.writeHead(503, { "retry-after": "0" }).end('{"error":{"code":"draining","message":"soon back"}}'),
    (_req, res) => res.writeHead(204).end(),
  ];
  let turn = 0;
  fault = (...args) => faults[turn++ % faults.length]?.(...args);
  const { url } = await start();
  const texts = Array.from({ length: 12 }, (_, i) => `text ${i}`);
  const reader = read(texts.length, url, { since: "0" });
  const { send } = room(url);
  const ids = await Promise.all(texts.map((text) => send(text)));
  expect(await reader).toEqual(texts);
  expect(turn).toBeGreaterThan(texts.length * 2);
  fault = good;
  const { value: kept } = await room(url, { since: "0" }).batches.next();
  const said = (kept?.messages ?? []).filter(({ kind }) => kind === undefined);
  expect(said.map(({ id, text }) => [id, text])).toEqual(ids.map((id, i) => [id, texts[i]]));
});

test("a client reconnects to a restarted server and receives what it missed once", async () => {
  const { url, port, chat, server } = await start();
  const states = new EventTarget();
  const [live, away] = [once(states, "live"), once(states, "waiting")];
  const reader = read(3, url, { onState: ({ name }) => states.dispatchEvent(new Event(name)) });
  await live;
  await chat.post({ user: "ben", text: "before" });
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await Promise.all([closed, away]);
  await chat.post({ user: "ben", text: "meanwhile" });
  await once(server.listen(port, "127.0.0.1"), "listening");
  await chat.post({ user: "ben", text: "after" });
  expect(await reader).toEqual(["before", "meanwhile", "after"]);
});

test("the signal closes the connection of a held poll", async () => {
  let closed: Promise<unknown> | undefined;
  const held = new Promise<void>((resolve) => {
    fault = (req, res, good) => {
      good();
      if (req.url?.includes("wait=0")) return;
      closed = once(res, "close");
      resolve();
    };
  });
  const { url } = await start();
  const reader = read(1, url);
  await held;
  stop.abort();
  await closed;
  expect(await reader).toEqual([]);
});

test("the cookie of a Node client and a name in any script reach the server", async () => {
  const asked: (string | undefined)[] = [];
  fault = (req, res) => {
    asked.push(req.url?.split("?")[0], req.headers.cookie, req.headers.accept);
    res.writeHead(401).end('{"error":{"code":"no_session","message":"log in"}}');
  };
  const states: State[] = [];
  const headers = { cookie: "session=x" };
  const { url } = await start();
  await read(1, `${url}/mount`, { user: "李 雷?", headers, onState: (state) => states.push(state) });
  expect(asked).toEqual(["/mount/get_post/%E6%9D%8E%20%E9%9B%B7%3F", "session=x", "application/json"]);
  expect(states.at(-1)).toEqual({ name: "stopped", reason: "no_session", message: "log in" });
});
