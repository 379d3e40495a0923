import { once } from "node:events";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { serve } from "../../src/http/serve.js";

test("a client that reads nothing of a reply over the bound is closed, and others are served", async () => {
  const log: string[] = [];
  const large = Buffer.alloc(64 * 1024 * 1024);
  const { server, stop } = serve(({ url }, res) => void res.end(url === "/large" ? large : "small"), {
    maxBufferedBytes: 16 * 1024 * 1024,
    log: (line) => log.push(line),
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const ask = (path: string) => {
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    return socket;
  };
  const modest = ask("/small");
  await once(modest, "data");
  const [serverSide] = (await Promise.all([once(server, "connection"), ask("/large").pause()]))[0];
  await once(serverSide, "close");
  expect(log).toEqual(["too many bytes are buffered: 1 slow readers are closed"]);
  modest.write("GET /small HTTP/1.1\r\nHost: x\r\n\r\n");
  expect(String(await once(modest, "data"))).toContain("small");
  modest.destroy();
  await stop();
});
