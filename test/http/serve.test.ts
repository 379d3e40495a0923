/** The HTTP server of the program: its limits, its log and its stop. */
import { once } from "node:events";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import { type ServeOptions, type Serving, serve } from "../../src/http/serve.js";

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

async function dial(port: number, bytes = ""): Promise<Socket> {
  const socket = connect(port, "127.0.0.1").on("error", () => {});
  await once(socket, "connect");
  if (bytes) socket.write(bytes);
  return socket;
}

/** All that comes on a connection until it is closed, or reset. */
function rest(socket: Socket): Promise<string> {
  let text = "";
  socket.setEncoding("latin1").on("data", (piece: string) => {
    text += piece;
  });
  return new Promise((resolve) => socket.on("close", () => resolve(text)).resume());
}

const ok: RequestListener = (req, res) => {
  req.resume();
  req.on("end", () => res.end("ok"));
};
const GET = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

test("a head that does not arrive in time is 408: half of one, or the second of a connection", async () => {
  const { port } = await start(ok, { headersTimeout: 50 });
  const sockets = [
    await dial(port, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "),
    await dial(port),
    await dial(port, `${GET}GET /second`),
  ];
  const drip = setInterval(() => sockets[0]?.write("z"), 20);
  const [half, none, second] = await Promise.all(sockets.map(rest));
  clearInterval(drip);
  expect(half).toMatch(/^HTTP\/1.1 408 /);
  // A client that has sent nothing expects nothing.
  expect(none).toMatch(/^$|^HTTP\/1.1 408 /);
  expect(second).toMatch(/^HTTP\/1.1 200 .*\r\n\r\nokHTTP\/1.1 408 /s);
});

test("a body that does not arrive in time is 408, although bytes arrive all the time", async () => {
  const { port } = await start(ok, { headersTimeout: 50, requestTimeout: 100 });
  const socket = await dial(port, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  const drip = setInterval(() => socket.write("1\r\nx\r\n"), 20);
  expect(await rest(socket)).toMatch(/^HTTP\/1.1 408 /);
  clearInterval(drip);
});

test("a head that is too long is 431", async () => {
  const { port } = await start(ok, { maxHeaderSize: 2_000 });
  expect(
    await rest(await dial(port, `GET / HTTP/1.1\r\nHost: x\r\nX: ${"a".repeat(2_000)}\r\n\r\n`)),
  ).toMatch(/^HTTP\/1.1 431 /);
});

test("a connection over the limit is closed and logged once, and open ones stay usable", async () => {
  const { port, lines } = await start(ok, { maxConnections: 3 });
  const sockets = await Promise.all([dial(port), dial(port), dial(port)]);
  for (let n = 0; n < 20; n++) expect(await rest(await dial(port, GET))).toBe("");
  expect(lines).toEqual(["too many connections: more than 3 at once are closed"]);
  for (const socket of sockets) {
    socket.write(GET);
    expect(`${(await once(socket, "data"))[0]}`).toMatch(/^HTTP\/1.1 200 /);
  }
  sockets[0]?.destroy();
  const again = async (): Promise<string> =>
    (await rest(await dial(port, GET.replace("x", "x\r\nConnection: close")))) || again();
  expect(await again()).toMatch(/^HTTP\/1.1 200 /);
});

test("a client that reads nothing is closed after the idle time", async () => {
  const bytes = 64 * 1024 * 1024;
  const { port, server } = await start((_req, res) => res.end("x".repeat(bytes)), { idleTimeout: 300 });
  const asked = once(server, "request");
  const socket = await dial(port);
  socket.pause();
  socket.write(GET);
  const [, res] = (await asked) as [IncomingMessage, ServerResponse];
  await once(res, "close");
  expect((await rest(socket)).length).toBeLessThan(bytes);
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
  for (const path of ["/", "/later"]) {
    for (const method of ["GET", "POST"]) {
      const socket = await dial(port, `${method} ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
      expect(`${(await once(socket, "data"))[0]}`, `${method} ${path}`).toContain("read <>");
      socket.write(`${method} ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab`);
      expect(`${(await once(socket, "data"))[0]}`, `${method} ${path}`).toContain("read <ab>");
      socket.destroy();
    }
  }
});

test("a connection without a request is closed after the idle time", async () => {
  const { port } = await start(ok, { idleTimeout: 50 });
  expect(await rest(await dial(port, GET))).toMatch(/^HTTP\/1.1 200 /);
});

test("stop closes silent and idle connections, and a busy one after its reply", async () => {
  let held: ServerResponse | undefined;
  const { port, stop, server } = await start((req, res) => {
    if (req.url === "/held") held = res;
    else res.end("ok");
  });
  const silent = await dial(port);
  const resting = await dial(port, GET);
  await once(resting, "data");
  const asked = once(server, "request");
  const asking = await dial(port, GET.replace("/", "/held"));
  await asked;
  let stopped = false;
  const stopping = stop().then(() => {
    stopped = true;
  });
  await Promise.all([rest(silent), rest(resting)]);
  expect(stopped).toBe(false);
  await expect(dial(port).then(() => "taken")).rejects.toThrow();
  held?.end("at last");
  expect(await rest(asking)).toMatch(/\r\n\r\nat last$/);
  await stopping;
});

test("a connection that cannot be accepted is logged once a minute, and later ones are accepted", async () => {
  const { port, server, lines } = await start(ok);
  for (let n = 0; n < 1000; n++) server.emit("error", new Error("accept EMFILE"));
  expect(lines).toEqual(["cannot accept a connection: accept EMFILE"]);
  expect(await rest(await dial(port, GET.replace("x", "x\r\nConnection: close")))).toMatch(/^HTTP\/1.1 200 /);
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
  now += 60_000;
  tick(6000);
  expect(lines[1]).toMatch(/^the event loop was late: by \d+ ms \(and 4 times more in the minute before\)$/);
  void serving.stop();
});
