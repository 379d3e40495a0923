/** The request head of a held poll: `serve` frees it, and a host's own server keeps it. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { afterEach, expect, test } from "vitest";
import { type Chat, createChat, serve } from "../../src/index.js";
import { until } from "./chat.js";
import { Person, texts } from "./person.js";
import { hear } from "./raw.js";

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

async function listen(chat: Chat, server: Server) {
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as { port: number };
  const requests: IncomingMessage[] = [];
  server.prependListener("request", (req: IncomingMessage) => requests.push(req));
  ends.push(async () => {
    await chat.close();
    server.closeAllConnections();
    server.close();
  });
  const ann = await Person.login(`http://127.0.0.1:${port}`, "ann");
  await ann.batch("since=now&wait=0");
  return { port, ann, requests };
}

async function startOwn() {
  const log: string[] = [];
  const options = { postRate: 0, loginRate: 0, log: (line: string) => log.push(line) };
  const chat = await createChat(options);
  const { server } = serve(chat.handler, options);
  return { chat, server, log, ...(await listen(chat, server)) };
}

const FORM = { "Content-Type": "application/x-www-form-urlencoded" };

test.each([
  ["GET", undefined],
  ["POST", "a=b"],
])("a held poll by %s keeps no request head", async (method, body) => {
  const { chat, ann, requests } = await startOwn();
  const headers = body === undefined ? {} : FORM;
  const query = `since=now&wait=60&unknown=${"x".repeat(1_000)}`;
  const poll = ann.batch(query, { method, headers, ...(body !== undefined && { body }) });
  await until(() => chat.waiting === 1);
  expect(requests.at(-1)).toMatchObject({ headers: {}, rawHeaders: [], url: "" });
  await ann.post("hello");
  expect(texts(await poll)).toEqual(["hello"]);
  // The connection stays usable.
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["hello"]);
});

test("a held plain poll keeps no request head", async () => {
  const { chat, ann, requests } = await startOwn();
  const poll = ann.plain();
  await until(() => chat.waiting === 1);
  expect(requests.at(-1)).toMatchObject({ headers: {}, rawHeaders: [] });
  await ann.post("hello");
  expect(await poll).toBe("hello");
});

test("a held poll keeps its head in a host's own server, because the host can log it", async () => {
  const chat = await createChat({ postRate: 0, loginRate: 0 });
  const { ann, requests } = await listen(chat, createServer(chat.handler));
  const poll = ann.batch("since=now&wait=60", { headers: { "User-Agent": "browser" } });
  await until(() => chat.waiting === 1);
  expect(requests.at(-1)?.headers["user-agent"]).toBe("browser");
  expect(requests.at(-1)?.url).toContain("since=now&wait=60");
  await ann.post("hello");
  expect(texts(await poll)).toEqual(["hello"]);
});

test("a head with too many fields is 431, and closes the connection behind a pending reply", async () => {
  const { port, ann, log } = await startOwn();
  const fields = (count: number) => Array.from({ length: count }, (_, n) => `X-${n}: x\r\n`).join("");
  const get = (count: number) =>
    `GET /healthz HTTP/1.1\r\n${fields(count - 2)}Host: x\r\nConnection: close\r\n\r\n`;
  expect((await hear(port, get(63))).statuses).toEqual([200]);
  for (const count of [64, 65, 96, 200]) expect((await hear(port, get(count))).statuses).toEqual([431]);
  const poll = `GET /get_post/ann?since=now&wait=60 HTTP/1.1\r\nHost: x\r\nCookie: ${ann.cookie}\r\n\r\n`;
  expect((await hear(port, poll + get(100))).statuses).toEqual([]);
  expect(log).toEqual([]);
});
