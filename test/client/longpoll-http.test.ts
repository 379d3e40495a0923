/** The client and the chat over HTTP, with connections that fail, and a server that stops and starts again. */
import { EventEmitter, once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type LongPollOptions, longPoll, type State } from "../../src/client/index.js";
import { type Chat, createChat } from "../../src/index.js";

/** Handles one request; `good` leaves it to the chat. */
type Fault = (...args: [...Parameters<RequestListener>, good: () => void]) => void;

let stop: AbortController;
let chat: Chat;
let fault: Fault;
let server = createServer();
/** Emits the names of the states and of other events. */
let told: EventEmitter;
const onState = ({ name }: State) => told.emit(name);

beforeEach(async () => {
  // The shortest backoff each time. The tests wait for events, not for it.
  vi.spyOn(Math, "random").mockReturnValue(0);
  stop = new AbortController();
  chat = await createChat({ identify: () => "ann", postRate: 0 });
  fault = (_req, _res, good) => good();
  told = new EventEmitter();
});
afterEach(async () => {
  stop.abort();
  await Promise.all([close(), chat.close()]);
  vi.restoreAllMocks();
});

async function listen(port = 0): Promise<string> {
  server = createServer((req, res) => fault(req, res, () => chat.handler(req, res)));
  await once(server.listen(port, "127.0.0.1"), "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

async function close(): Promise<void> {
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}

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

const say = (text: string) => chat.post({ user: "ben", text });

test("each message is kept once and arrives once, in order, although connections fail in many ways", async () => {
  const faults: Fault[] = [
    (_req, _res, good) => good(),
    (req) => req.socket.destroy(),
    (_req, res) => res.writeHead(302, { location: "/healthz" }).end(),
    (_req, res, good) => {
      // The chat handles the request, and half of its reply is lost.
      res.write = () => false;
      res.end = () => res.destroy();
      good();
    },
    (_req, _res, good) => good(),
    (_req, res) =>
      res.writeHead(200, { "content-length": 999 }).write('{"cursor":"9-0","pres', () => res.destroy()),
    (_req, res) => res.writeHead(502).end("<h1>Bad gateway</h1>"),
    (_req, _res, good) => good(),
    (_req, res) =>
      res.writeHead(503, { "retry-after": "0" }).end('{"error":{"code":"draining","message":"soon back"}}'),
    (_req, res) => res.writeHead(204).end(),
  ];
  let turn = 0;
  fault = (...args) => faults[turn++ % faults.length]?.(...args);
  const base = await listen();
  const texts = Array.from({ length: 12 }, (_, i) => `text ${i}`);
  const reader = read(texts.length, base, { since: "0" });
  const { send } = room(base);
  const ids = await Promise.all(texts.map((text) => send(text)));
  expect(await reader).toEqual(texts);
  expect(turn).toBeGreaterThan(texts.length * 2);
  fault = (_req, _res, good) => good();
  const { value: kept } = await room(base, { since: "0" }).batches.next();
  const said = (kept?.messages ?? []).filter(({ kind }) => kind === undefined);
  expect(said.map(({ id, text }) => [id, text])).toEqual(ids.map((id, i) => [id, texts[i]]));
});

test("a client reconnects to a restarted server and receives what it missed once", async () => {
  const base = await listen();
  const [live, away] = [once(told, "live"), once(told, "waiting")];
  const reader = read(3, base, { onState });
  await live;
  await say("before");
  await close();
  await away;
  await say("meanwhile");
  await listen(Number(new URL(base).port));
  await say("after");
  expect(await reader).toEqual(["before", "meanwhile", "after"]);
});

test("the signal closes the connection of a held poll", async () => {
  const [held, closed] = [once(told, "held"), once(told, "closed")];
  fault = (req, res, good) => {
    good();
    if (req.url?.includes("wait=0")) return;
    res.on("close", () => told.emit("closed"));
    told.emit("held");
  };
  const reader = read(1, await listen());
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
  const options = { user: "李 雷?", headers, onState: (state: State) => states.push(state) };
  await read(1, `${await listen()}mount`, options);
  expect(asked).toEqual(["/mount/get_post/%E6%9D%8E%20%E9%9B%B7%3F", "session=x", "application/json"]);
  expect(states.at(-1)).toEqual({ name: "stopped", reason: "no_session", message: "log in" });
});
