/** The HTTP server of the program: its limits and its log. */
import { once } from "node:events";
import type { IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import express from "express";
import { expect, test } from "vitest";
import { type ServeOptions, serve } from "../../src/index.js";
import { start as startChat, startRoom, until } from "../wire/chat.js";
import { dial, get, hear, statuses } from "../wire/raw.js";

/** Serves on a free port until the test ends. What was logged is in `log`. */
async function start(handler: RequestListener, options: ServeOptions = {}, limits: Partial<Server> = {}) {
  const running = await startChat({ serve: options, wrap: () => handler });
  Object.assign(running.server, limits);
  return running;
}

const ok: RequestListener = (req, res) => {
  req.resume();
  req.on("end", () => res.end("ok"));
};
const GET = get("/");
const LAST = get("/", "Connection: close");

test("a head or a body that does not arrive in time is 408, although bytes arrive all the time", async () => {
  const { port } = await start(ok, {}, { headersTimeout: 50, requestTimeout: 100 });
  const chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  const [half, body] = [dial(port, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "), dial(port, chunked)];
  const [none, second] = [dial(port), dial(port, `${GET}GET /second`)];
  const drip = setInterval(() => {
    half.send("z");
    body.send("1\r\nx\r\n");
  }, 20);
  const late = await Promise.all([half.closed, body.closed, second.closed]);
  clearInterval(drip);
  expect(late.map(({ statuses }) => statuses)).toEqual([[408], [408], [200, 408]]);
  // A client that has sent nothing expects nothing.
  expect((await none.closed).text).toMatch(/^$|^HTTP\/1.1 408 /);
});

test("a head that is longer than maxHeaderSize is 431, and the connection closes", async () => {
  const { port } = await start(ok, { maxHeaderSize: 2_000 });
  const { statuses, text } = await hear(port, get("/", `X: ${"a".repeat(2_000)}`));
  const headers = "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff";
  expect([statuses, text]).toEqual([[431], expect.stringContaining(headers)]);
});

test("a connection over the limit is closed and logged once, and open ones stay usable", async () => {
  const { port, log } = await start(ok, {}, { maxConnections: 3 });
  const open = [dial(port), dial(port), dial(port)];
  for (const { socket } of open) await once(socket, "connect");
  for (let n = 0; n < 20; n++) expect((await hear(port, GET)).text).toBe("");
  expect(log.splice(0)).toEqual(["too many connections: 3 are open, new ones close"]);
  for (const { send, text } of open) {
    send(GET);
    await until(() => statuses(text())[0] === 200);
  }
  open[0]?.socket.destroy();
  const again = async (): Promise<string> => (await hear(port, LAST)).text || again();
  expect(await again()).toMatch(/^HTTP\/1.1 200 /);
});

test("a connection that is idle, or whose reply is not read, is closed; a busy one and a slow reader are not", async () => {
  const bytes = 64 * 1024 * 1024;
  const large: RequestListener = (req, res) => res.end(req.url === "/large" ? "x".repeat(bytes) : "ok");
  // The bound of buffered bytes is far away.
  const { port, server } = await start(large, { maxBufferedBytes: 4 * bytes, idleTimeout: 300 });
  const slow = connect(port, "127.0.0.1").on("error", () => {});
  slow.write(get("/large", "Connection: close"));
  let [isIdleOpen, received] = [true, 0];
  const idle = hear(port, GET).finally(() => {
    isIdleOpen = false;
  });
  const busy = dial(port);
  for (let replies = 0; isIdleOpen; replies++) {
    busy.send(GET);
    await until(() => statuses(busy.text()).length > replies);
    received += slow.read()?.length ?? 0;
  }
  expect((await idle).statuses).toEqual([200]);
  busy.send(LAST);
  expect((await busy.closed).text).toMatch(/Connection: close\r\n.*ok$/s);
  for await (const chunk of slow) received += chunk.length;
  expect(received).toBeGreaterThan(bytes);
  const asked = once(server, "request");
  const { socket, closed } = dial(port, get("/large"));
  socket.pause();
  const [, res] = (await asked) as [IncomingMessage, ServerResponse];
  await once(res, "close");
  socket.resume();
  expect((await closed).text.length).toBeLessThan(bytes);
});

test("a connection that was idle for a while has the whole idle time again after its next request", async () => {
  const { port, server } = await start(ok, { idleTimeout: 300 });
  const accepted = once(server, "connection");
  const { send, text } = dial(port);
  const [socket] = (await accepted) as [Socket];
  // It has half of the idle time left.
  await until(() => socket.timeout === 150);
  send(GET);
  await until(() => statuses(text()).length === 1);
  await until(() => socket.timeout === 0 || socket.destroyed);
  expect(socket.destroyed).toBe(false);
});

test("a body that is malformed or late after its request was answered closes without a second reply", async () => {
  const early: RequestListener = (_req, res) => res.writeHead(401).end();
  const { port } = await start(early, {}, { requestTimeout: 100 });
  const chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  const bad = dial(port, chunked);
  await until(() => statuses(bad.text()).length === 1);
  bad.send("no size\r\n");
  const late = dial(port, `${chunked}1\r\n`);
  const ended = await Promise.all([bad.closed, late.closed]);
  expect(ended.map(({ statuses }) => statuses)).toEqual([[401], [401]]);
  // After the whole body, there may be another request.
  const complete = dial(port, chunked);
  await until(() => statuses(complete.text()).length === 1);
  complete.send("0\r\n\r\nno request\r\n\r\n");
  expect((await complete.closed).statuses).toEqual([401, 400]);
});

test.each([0, Number.NaN, 2 ** 31])("an idle time of %d is a RangeError", (idleTimeout) => {
  expect(() => serve(ok, { idleTimeout })).toThrow(RangeError);
});

test("a request without a body ends for a handler that reads it, at once or later", async () => {
  const { port } = await start(async (req, res) => {
    if (req.url === "/later") await new Promise(setImmediate);
    res.end(`read <${(await req.toArray()).join("")}>`);
  });
  for (const line of ["GET /", "POST /", "GET /later", "POST /later"]) {
    const head = `${line} HTTP/1.1\r\nHost: x\r\n`;
    const bytes = `${head}\r\n${head}Connection: close\r\nContent-Length: 2\r\n\r\nab`;
    expect((await hear(port, bytes)).text, line).toMatch(/read <>.*read <ab>$/s);
  }
});

test.each(["text", "bytes"])("replies of %s that clients do not read stay below the bound", async (kind) => {
  const [bound, size, count] = [32 * 1024 * 1024, 8 * 1024 * 1024, 40];
  const accepted = new Set<Socket>();
  let most = 0;
  const handler: RequestListener = (req, res) => {
    const text = "x".repeat(size);
    res.end(kind === "text" ? text : Buffer.from(text));
    const buffered = [...accepted].map(({ writableLength, destroyed }) => (destroyed ? 0 : writableLength));
    const sum = buffered.reduce((sum, bytes) => sum + bytes);
    most = Math.max(most, sum);
    req.resume();
  };
  const { server, port, log } = await start(handler, { maxBufferedBytes: bound });
  server.on("connection", (socket: Socket) => accepted.add(socket));
  for (let n = 0; n < count; n++) {
    // Not `dial`, which reads.
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    socket.write(GET);
    await new Promise((resolve) => socket.once("readable", resolve).once("close", resolve));
  }
  expect(most).toBeGreaterThan(bound / 4);
  expect(most).toBeLessThanOrEqual(bound);
  const line = expect.stringMatching(/^too many bytes are buffered: \d+ connections are closed$/);
  expect(log.splice(0)).toEqual([line]);
});

test("an Express app is served, and a held poll frees its head there too", async () => {
  const wrap = (handler: RequestListener) => express().use(handler);
  // Two requests that wait at one time would exceed the bound.
  const { bob, chat } = await startRoom({ serve: { maxBufferedBytes: 7_000 }, wrap });
  const { cursor } = await bob.batch("since=now&wait=0");
  const polls = ["a", "b", "c"].map((page, held) =>
    until(() => chat.waiting === held).then(() => bob.batch(`since=${cursor}&wait=60&client=${page}`)),
  );
  await until(() => chat.waiting === 3);
  await bob.say("hello");
  for (const { messages } of await Promise.all(polls)) expect(messages.at(-1)?.text).toBe("hello");
});

test("a connection that cannot be accepted is logged once a minute, and later ones are accepted", async () => {
  const { port, server, log } = await start(ok);
  for (let n = 0; n < 1000; n++) server.emit("error", new Error("accept EMFILE"));
  expect(log.splice(0)).toEqual(["cannot accept a connection: accept EMFILE"]);
  expect((await hear(port, LAST)).statuses).toEqual([200]);
});
