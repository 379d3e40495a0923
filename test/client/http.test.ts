/** The client and the chat over HTTP, with connections that fail. */
import type { RequestListener } from "node:http";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { longPoll } from "../../src/client/index.js";
import { start as startChat, until } from "../wire/chat.js";

/** Handles one request; `good` leaves it to the chat. */
type Fault = (...args: [...Parameters<RequestListener>, good: () => void]) => void;

const good: Fault = (_req, _res, good) => good();
let stop: AbortController;

beforeEach(() => {
  // The shortest back-off each time. The tests wait for events, not for it.
  vi.spyOn(Math, "random").mockReturnValue(0);
  stop = new AbortController();
});
afterEach(() => {
  stop.abort();
  vi.restoreAllMocks();
});

const room = (base: string, since = "0") => longPoll({ base, user: "ann", since, signal: stop.signal });

/** Reads until there are `count` messages that are no notices. */
async function read(count: number, base: string) {
  const found: { id: string; text: string }[] = [];
  for await (const { messages } of room(base).batches) {
    found.push(...messages.flatMap(({ kind, id, text }) => (kind ? [] : [{ id, text }])));
    if (found.length >= count) break;
  }
  return found;
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
  const { url } = await startChat({
    identify: () => "ann",
    wrap: (handler) => (req, res) => faults[turn++ % faults.length]?.(req, res, () => handler(req, res)),
  });
  const texts = Array.from({ length: 12 }, (_, i) => `text ${i}`);
  const reader = read(texts.length, url);
  const { send } = room(url);
  const ids = await Promise.all(texts.map((text) => send(text)));
  const expected = texts.map((text, i) => ({ id: ids[i], text }));
  expect(await reader).toEqual(expected);
  expect(turn).toBeGreaterThan(texts.length * 2);
  expect(await read(texts.length, url)).toEqual(expected);
});

test("the signal closes the connection of a held poll", async () => {
  const { url, chat } = await startChat({ identify: () => "ann" });
  const reader = read(1, url);
  await until(() => chat.waiting === 1);
  stop.abort();
  await until(() => chat.waiting === 0);
  expect(await reader).toEqual([]);
});
