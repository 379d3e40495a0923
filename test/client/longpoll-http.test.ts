/** The client against real servers that reset, cut, redirect and delay connections, stop, and start again. */
import { EventEmitter, once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type LongPollOptions, longPoll, type State } from "../../src/client/index.js";
import { type Fault, Room } from "./small-room.js";

let stop: AbortController;
const servers = new Set<Server>();

beforeEach(() => {
  // The shortest backoff each time. The tests wait for events, not for it.
  vi.spyOn(Math, "random").mockReturnValue(0);
  stop = new AbortController();
});

afterEach(async () => {
  stop.abort();
  await Promise.all([...servers].map(close));
  vi.restoreAllMocks();
});

async function close(server: Server): Promise<void> {
  servers.delete(server);
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}

async function listen(
  handler: RequestListener,
  port = 0,
): Promise<{ server: Server; base: string; port: number }> {
  const server = createServer(handler);
  servers.add(server);
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const { port: taken } = server.address() as AddressInfo;
  return { server, base: `http://127.0.0.1:${taken}/`, port: taken };
}

/** Reads texts into a list until there are `count`. */
async function read(count: number, options: LongPollOptions, texts: string[] = []): Promise<string[]> {
  for await (const { messages } of longPoll({ signal: stop.signal, ...options }).batches) {
    texts.push(...messages.map(({ text }) => text));
    if (texts.length >= count) break;
  }
  return texts;
}

test("each message is kept once and arrives once, in order, although connections fail in many ways", async () => {
  const room = new Room();
  const faults: Fault[] = [
    (_req, _res, good) => good(),
    (req) => req.socket.destroy(),
    (_req, res) => res.writeHead(302, { location: "/login" }).end(),
    (_req, _res, good) => good(),
    (_req, res) =>
      res
        .writeHead(200, { "content-length": 999 })
        .write('{"cursor":"9-0","present":1,"mess', () => res.destroy()),
    (_req, res) => res.writeHead(502).end("<h1>Bad gateway</h1>"),
    (_req, _res, good) => good(),
    (_req, res) =>
      res.writeHead(503, { "retry-after": "0" }).end('{"error":{"code":"draining","message":"soon back"}}'),
    (_req, res) => res.writeHead(204).end(),
  ];
  let turn = 0;
  room.fault = (req, res, good) => faults[turn++ % faults.length]?.(req, res, good);
  const { base } = await listen(room.handler);
  const texts = Array.from({ length: 12 }, (_, i) => `text ${i}`);
  const reader = read(texts.length, { base, user: "ann", since: "0" });
  const { send } = longPoll({ base, user: "ann", signal: stop.signal });
  const ids = await Promise.all(texts.map((text) => send(text)));
  expect(ids).toEqual(texts.map((_, i) => `${i + 1}-0`));
  expect(room.messages.map(({ text }) => text)).toEqual(texts);
  expect(await reader).toEqual(texts);
  expect(turn).toBeGreaterThan(texts.length * 2);
});

test("a client reconnects to a restarted server and receives what it missed once", async () => {
  const room = new Room();
  const { server, base, port } = await listen(room.handler);
  const states: State["name"][] = [];
  const told = new EventEmitter();
  const live = once(told, "live");
  const away = once(told, "waiting");
  const onState = ({ name }: State) => {
    states.push(name);
    told.emit(name);
  };
  const reader = read(3, { base, user: "ann", onState });
  await live;
  room.post("before", "1");
  await close(server);
  await away;
  room.post("meanwhile", "2");
  await listen(room.handler, port);
  room.post("after", "3");
  expect(await reader).toEqual(["before", "meanwhile", "after"]);
  expect(states.slice(0, 2)).toEqual(["connecting", "live"]);
  expect(states.at(-1)).toBe("live");
});

test("a message in a lost first reply is not missed by since=now", async () => {
  const room = new Room();
  room.post("of old", "0");
  let polls = 0;
  room.fault = (req, _res, good) => {
    polls++;
    if (polls === 2) req.socket.destroy();
    else good();
  };
  const { base } = await listen(room.handler);
  const told = new EventEmitter();
  const live = once(told, "live");
  const reader = read(1, { base, user: "ann", onState: ({ name }) => told.emit(name) });
  await live;
  room.post("new", "1");
  expect(await reader).toEqual(["new"]);
});

test("a request without a reply times out and is repeated", async () => {
  const room = new Room();
  room.post("hello", "1");
  let hung = 0;
  room.fault = (_req, _res, good) => {
    if (hung++ > 1) good();
  };
  const { base } = await listen(room.handler);
  expect(await read(1, { base, user: "ann", since: "0", timeoutSlack: 1 })).toEqual(["hello"]);
  expect(hung).toBe(3);
});

test("the signal closes the connection of a held poll", async () => {
  const told = new EventEmitter();
  const held = once(told, "held");
  const closed = once(told, "closed");
  const { base } = await listen((req, res) => {
    if (req.url?.includes("wait=0")) res.end('{"cursor":"1-0","present":1,"messages":[]}');
    else
      told.emit(
        "held",
        res.on("close", () => told.emit("closed")),
      );
  });
  const reader = read(1, { base, user: "ann" });
  await held;
  stop.abort();
  await closed;
  expect(await reader).toEqual([]);
});

test("the cookie of a Node client and a name in any script reach the server", async () => {
  const asked: (string | undefined)[] = [];
  const { base } = await listen((req, res) => {
    asked.push(req.url?.split("?")[0], req.headers.cookie, req.headers.accept);
    res.writeHead(401).end('{"error":{"code":"no_session","message":"log in"}}');
  });
  const states: State[] = [];
  const onState = (state: State) => states.push(state);
  await read(1, { base: `${base}mount`, user: "李 雷?", headers: { cookie: "session=x" }, onState });
  expect(asked).toEqual(["/mount/get_post/%E6%9D%8E%20%E9%9B%B7%3F", "session=x", "application/json"]);
  expect(states.at(-1)).toEqual({ name: "stopped", reason: "no_session", message: "log in" });
});
