/** The HTTP server of the program: its limits and its log. */
import { once } from "node:events";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import { type ServeOptions, type Serving, serve } from "../../src/http/serve.js";
import { until } from "../wire/chat.js";
import { dial, get, hear, statuses } from "../wire/raw.js";

const open: Serving[] = [];
afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  for (const { server, stop } of open.splice(0)) {
    const stopped = stop();
    server.closeAllConnections();
    await stopped;
  }
});

/** Serves on a free port until the test ends. What was logged is in `lines`. */
async function start(handler: RequestListener, options: Omit<ServeOptions, "log"> = {}) {
  const lines: string[] = [];
  const serving = serve(handler, { ...options, log: (line) => lines.push(line) });
  open.push(serving);
  await once(serving.server.listen(0, "127.0.0.1"), "listening");
  const address = serving.server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { ...serving, port: address.port, lines };
}

const ok: RequestListener = (req, res) => {
  req.resume();
  req.on("end", () => res.end("ok"));
};
const GET = get("/");
const LAST = get("/", "Connection: close");

test("a head or a body that does not arrive in time is 408, although bytes arrive all the time", async () => {
  const { port } = await start(ok, { headersTimeout: 50, requestTimeout: 100 });
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
  expect([statuses, text]).toEqual([[431], expect.stringContaining("X-Content-Type-Options: nosniff")]);
});

test("a connection over the limit is closed and logged once, and open ones stay usable", async () => {
  const { port, lines } = await start(ok, { maxConnections: 3 });
  const open = [dial(port), dial(port), dial(port)];
  for (const { socket } of open) await once(socket, "connect");
  for (let n = 0; n < 20; n++) expect((await hear(port, GET)).text).toBe("");
  expect(lines).toEqual(["too many connections: more than 3 at once are closed"]);
  for (const { send, text } of open) {
    send(GET);
    await until(() => statuses(text())[0] === 200);
  }
  open[0]?.socket.destroy();
  const again = async (): Promise<string> => (await hear(port, LAST)).text || again();
  expect(await again()).toMatch(/^HTTP\/1.1 200 /);
});

test("a client that reads nothing is closed after the idle time", async () => {
  const bytes = 64 * 1024 * 1024;
  const { port, server } = await start((_req, res) => res.end("x".repeat(bytes)), { idleTimeout: 300 });
  const asked = once(server, "request");
  const { socket, closed } = dial(port, GET);
  socket.pause();
  const [, res] = (await asked) as [IncomingMessage, ServerResponse];
  await once(res, "close");
  socket.resume();
  expect((await closed).text.length).toBeLessThan(bytes);
});

test("a connection without a request is closed after the idle time", async () => {
  const { port } = await start(ok, { idleTimeout: 50 });
  expect((await hear(port, GET)).statuses).toEqual([200]);
});

test("a request without a body ends for a handler that reads it, at once or later", async () => {
  const { port } = await start(async (req, res) => {
    if (req.url === "/later") await new Promise(setImmediate);
    let body = "";
    req.on("data", (chunk) => {
      body += chunk;
    });
    req.on("end", () => res.end(`read <${body}>`));
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
    most = Math.max(
      most,
      buffered.reduce((sum, bytes) => sum + bytes),
    );
    req.resume();
  };
  const { server, port, lines } = await start(handler, { maxBufferedBytes: bound });
  server.on("connection", (socket: Socket) => accepted.add(socket));
  for (let n = 0; n < count; n++) {
    // Not `dial`, which reads.
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    socket.write(GET);
    await new Promise((resolve) => socket.once("readable", resolve).once("close", resolve));
  }
  expect(most).toBeGreaterThan(bound / 4);
  expect(most).toBeLessThanOrEqual(bound);
  expect(lines).toEqual([expect.stringMatching(/^too many bytes are buffered: \d+ connections are closed$/)]);
});

test("a connection that cannot be accepted is logged once a minute, and later ones are accepted", async () => {
  const { port, server, lines } = await start(ok);
  for (let n = 0; n < 1000; n++) server.emit("error", new Error("accept EMFILE"));
  expect(lines).toEqual(["cannot accept a connection: accept EMFILE"]);
  expect((await hear(port, LAST)).statuses).toEqual([200]);
});

test("an error before the server listens goes to the caller", async () => {
  const { port } = await start(ok);
  const second = serve(ok, { log: () => {} });
  open.push(second);
  const failed = once(second.server, "error");
  second.server.listen(port, "127.0.0.1");
  expect((await failed)[0]).toMatchObject({ code: "EADDRINUSE" });
});

test("a late event loop is logged once a minute", () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => now);
  const lines: string[] = [];
  const serving = serve(ok, { log: (line) => lines.push(line) });
  const tick = (ms: number) => {
    now += ms;
    vi.advanceTimersByTime(1000);
  };
  for (let n = 0; n < 10; n++) tick(1000 + n * 100);
  expect(lines).toEqual([]);
  for (let n = 0; n < 5; n++) tick(6000);
  expect(lines).toEqual(["the event loop was late: by 5000 ms"]);
  void serving.stop();
});
