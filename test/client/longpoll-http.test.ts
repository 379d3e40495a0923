/** The client against a real server that resets, cuts, redirects and delays connections, stops, and starts again. */
import { EventEmitter, once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type LongPollOptions, longPoll, type Message, type State } from "../../src/client/index.js";

/** Handles one reply; `good` sends the right one. */
type Fault = (req: IncomingMessage, res: ServerResponse, good: () => void) => void;

/** The part of a room that the client sees: messages, held polls, idempotency keys. */
class Room {
  readonly messages: Message[] = [];
  readonly #keys = new Map<string, string>();
  readonly #waiters = new Set<() => void>();
  fault: Fault = (_req, _res, good) => good();

  readonly handler: RequestListener = async (req, res) => {
    const { pathname, searchParams } = new URL(req.url ?? "/", "http://room.test");
    const send = (body: () => object) => this.fault(req, res, () => res.end(JSON.stringify(body())));
    if (pathname === "/put_post/ann") {
      let body = "";
      for await (const chunk of req.setEncoding("utf8")) body += chunk;
      const text = new URLSearchParams(body).get("message") ?? "";
      const id = this.post(text, String(req.headers["idempotency-key"]));
      send(() => ({ id }));
    } else if (pathname === "/get_post/ann") {
      const since = searchParams.get("since") ?? "";
      const seen = since === "now" ? this.messages.length : Number.parseInt(since, 10);
      const answer = () =>
        send(() => ({
          cursor: `${this.messages.length}-0`,
          present: 1,
          messages: this.messages.slice(seen),
        }));
      if (this.messages.length > seen || searchParams.get("wait") === "0") return answer();
      this.#waiters.add(answer);
      res.on("close", () => this.#waiters.delete(answer));
    } else res.writeHead(200, { "content-type": "text/html" }).end("<form>your name?</form>");
  };

  post(text: string, key = text): string {
    const known = this.#keys.get(key);
    if (known) return known;
    const id = `${this.messages.length + 1}-0` as const;
    this.messages.push({ id, user: "ann", text, at: 1 });
    this.#keys.set(key, id);
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const answer of waiters) answer();
    return id;
  }
}

let stop: AbortController;
let room: Room;
let server = createServer();
/** Emits the names of the states and of other events. */
let told: EventEmitter;
const onState = ({ name }: State) => told.emit(name);

beforeEach(() => {
  // The shortest backoff each time. The tests wait for events, not for it.
  vi.spyOn(Math, "random").mockReturnValue(0);
  stop = new AbortController();
  room = new Room();
  told = new EventEmitter();
});
afterEach(async () => {
  stop.abort();
  await close();
  vi.restoreAllMocks();
});

async function close(): Promise<void> {
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}

async function listen(handler = room.handler, port = 0): Promise<string> {
  server = createServer(handler).listen(port, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

/** Reads until there are `count` texts. */
async function read(count: number, base: string, options: Partial<LongPollOptions> = {}): Promise<string[]> {
  const texts: string[] = [];
  for await (const { messages } of longPoll({ base, user: "ann", signal: stop.signal, ...options }).batches) {
    texts.push(...messages.map(({ text }) => text));
    if (texts.length >= count) break;
  }
  return texts;
}

test("each message is kept once and arrives once, in order, although connections fail in many ways", async () => {
  const faults: Fault[] = [
    (_req, _res, good) => good(),
    (req) => req.socket.destroy(),
    (_req, res) => res.writeHead(302, { location: "/login" }).end(),
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
  room.fault = (req, res, good) => faults[turn++ % faults.length]?.(req, res, good);
  const base = await listen();
  const texts = Array.from({ length: 12 }, (_, i) => `text ${i}`);
  const reader = read(texts.length, base, { since: "0" });
  const { send } = longPoll({ base, user: "ann", signal: stop.signal });
  const ids = await Promise.all(texts.map((text) => send(text)));
  expect(ids).toEqual(texts.map((_, i) => `${i + 1}-0`));
  expect(room.messages.map(({ text }) => text)).toEqual(texts);
  expect(await reader).toEqual(texts);
  expect(turn).toBeGreaterThan(texts.length * 2);
});

test("a client reconnects to a restarted server and receives what it missed once", async () => {
  const base = await listen();
  const [live, away] = [once(told, "live"), once(told, "waiting")];
  const reader = read(3, base, { onState });
  await live;
  room.post("before");
  await close();
  await away;
  room.post("meanwhile");
  await listen(room.handler, Number(new URL(base).port));
  room.post("after");
  expect(await reader).toEqual(["before", "meanwhile", "after"]);
});

test("a message in a lost first reply is not missed by since=now", async () => {
  room.post("of old");
  let polls = 0;
  room.fault = (req, _res, good) => (++polls === 2 ? req.socket.destroy() : good());
  const live = once(told, "live");
  const reader = read(1, await listen(), { onState });
  await live;
  room.post("new");
  expect(await reader).toEqual(["new"]);
});

test("a request without a reply times out and is repeated", async () => {
  room.post("hello");
  let polls = 0;
  room.fault = (_req, _res, good) => ++polls > 2 && good();
  expect(await read(1, await listen(), { since: "0", timeoutSlack: 1 })).toEqual(["hello"]);
  expect(polls).toBe(3);
});

test("the signal closes the connection of a held poll", async () => {
  const [held, closed] = [once(told, "held"), once(told, "closed")];
  const base = await listen((req, res) => {
    if (req.url?.includes("wait=0")) return res.end('{"cursor":"1-0","present":1,"messages":[]}');
    res.on("close", () => told.emit("closed"));
    told.emit("held");
  });
  const reader = read(1, base);
  await held;
  stop.abort();
  await closed;
  expect(await reader).toEqual([]);
});

test("the cookie of a Node client and a name in any script reach the server", async () => {
  const asked: (string | undefined)[] = [];
  const base = await listen((req, res) => {
    asked.push(req.url?.split("?")[0], req.headers.cookie, req.headers.accept);
    res.writeHead(401).end('{"error":{"code":"no_session","message":"log in"}}');
  });
  const states: State[] = [];
  const headers = { cookie: "session=x" };
  await read(1, `${base}mount`, { user: "李 雷?", headers, onState: (state) => states.push(state) });
  expect(asked).toEqual(["/mount/get_post/%E6%9D%8E%20%E9%9B%B7%3F", "session=x", "application/json"]);
  expect(states.at(-1)).toEqual({ name: "stopped", reason: "no_session", message: "log in" });
});
