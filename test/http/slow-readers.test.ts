/** The bound on the memory of replies that clients do not read. It is enforced when a reply is written. */
import { once } from "node:events";
import type { RequestListener } from "node:http";
import { connect, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { serve } from "../../src/http/serve.js";

const MIB = 1024 * 1024;
const sockets: Socket[] = [];
let stop: (() => Promise<void>) | undefined;
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await stop?.();
});

async function start(handler: RequestListener, maxBufferedBytes: number) {
  const log: string[] = [];
  const serving = serve(handler, { maxBufferedBytes, log: (line) => log.push(line) });
  stop = serving.stop;
  await once(serving.server.listen(0, "127.0.0.1"), "listening");
  const { port } = serving.server.address() as { port: number };
  const ask = (path: string) => {
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    sockets.push(socket);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    return socket;
  };
  return { ...serving, ask, log };
}

test("a client that reads nothing is closed at the bound, and a client with fewer bytes stays connected", async () => {
  const large = Buffer.alloc(64 * MIB);
  const { server, ask, log } = await start(
    ({ url }, res) => void res.end(url === "/large" ? large : "small"),
    16 * MIB,
  );
  const modest = ask("/small");
  await once(modest, "data");
  const [[serverSide]] = await Promise.all([once(server, "connection"), ask("/large").pause()]);
  await once(serverSide, "close");
  expect(log).toEqual(["too many bytes are buffered: 1 connections are closed"]);
  modest.write("GET /small HTTP/1.1\r\nHost: x\r\n\r\n");
  expect(String(await once(modest, "data"))).toContain("small");
});

test.each(["text", "bytes"])("replies of %s that clients do not read stay below the bound", async (kind) => {
  const [bound, size, count] = [32 * MIB, 8 * MIB, 40];
  const open = new Set<Socket>();
  let most = 0;
  const { server, ask, log } = await start((req, res) => {
    const text = "x".repeat(size);
    res.end(kind === "text" ? text : Buffer.from(text));
    let buffered = 0;
    for (const { writableLength, destroyed } of open) buffered += destroyed ? 0 : writableLength;
    most = Math.max(most, buffered);
    req.resume();
  }, bound);
  server.on("connection", (socket: Socket) => open.add(socket));
  let answered = 0;
  for (let n = 0; n < count; n++) {
    const socket = ask("/").pause();
    await new Promise((resolve) => socket.once("readable", resolve).once("close", resolve));
    answered++;
  }
  expect(answered).toBe(count);
  expect(most).toBeGreaterThan(bound / 4);
  expect(most).toBeLessThanOrEqual(bound);
  expect(log).toHaveLength(1);
});
