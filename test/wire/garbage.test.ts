/** Malformed, slow or oversized bytes behind a pending reply: no error reply takes its place. */
import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, expect, test } from "vitest";
import { createChat, type ServeOptions, serve } from "../../src/index.js";
import { until } from "./chat.js";
import { ask, Person } from "./person.js";
import { hear, statuses } from "./raw.js";

let stop: (() => Promise<void>) | undefined;
afterEach(() => stop?.());

async function start(options: Omit<ServeOptions, "log"> = {}) {
  const lines: string[] = [];
  const log = (line: string) => lines.push(line);
  const chat = await createChat({ log, postRate: 0, loginRate: 0 });
  const serving = serve(
    (req, res) => {
      if (req.url === "/large") res.end("x".repeat(LARGE));
      else chat.handler(req, res);
    },
    { ...options, log },
  );
  await once(serving.server.listen(0, "127.0.0.1"), "listening");
  const { port } = serving.server.address() as { port: number };
  stop = async () => {
    await chat.close();
    const stopped = serving.stop();
    serving.server.closeAllConnections();
    await stopped;
    expect(lines).toEqual([]);
  };
  const ann = await Person.login(`http://127.0.0.1:${port}`, "ann");
  await ann.batch("since=now&wait=0");
  const poll = `GET /get_post/ann?since=now&wait=60 HTTP/1.1\r\nHost: x\r\nCookie: ${ann.cookie}\r\n\r\n`;
  return { chat, port, ann, poll };
}

const LARGE = 8 * 1024 * 1024;
const GET = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
const kinds = {
  garbage: "\0\0\0\0",
  "a bare line feed": "GET /\nHost: x\n\n",
  "two lengths": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
  "a head that is too large": `GET / HTTP/1.1\r\nHost: x\r\nX: ${"x".repeat(20_000)}\r\n\r\n`,
  "a head that is too slow": "GET / HTTP/1.1\r\nHost: ",
};

test.each(Object.entries(kinds))(
  "a poll that is held gets no reply but a close when %s follows",
  async (_what, bytes) => {
    const { chat, port, poll } = await start({ headersTimeout: 100 });
    expect((await hear(port, poll + bytes)).text).toBe("");
    const socket = connect(port, "127.0.0.1");
    let text = "";
    socket
      .on("error", () => {})
      .on("data", (data) => {
        text += data;
      });
    socket.write(poll);
    await until(() => chat.waiting === 1);
    socket.write(bytes);
    await once(socket, "close");
    expect(text).toBe("");
    await until(() => chat.waiting === 0);
  },
);

test.each(Object.entries(kinds))(
  "pipelined requests get no reply but their own when %s follows",
  async (_what, bytes) => {
    const { port } = await start({ headersTimeout: 100 });
    for (const count of [1, 2, 5]) {
      const replies = await hear(port, GET.repeat(count) + bytes);
      expect(replies.statuses.slice(0, 1)).toEqual([200]);
      // An error status can come only after all replies.
      if (replies.statuses.some((status) => status !== 200)) expect(replies.statuses).toHaveLength(count + 1);
    }
  },
);

test("a reply in progress is sent whole when garbage follows its request", async () => {
  const { port } = await start();
  const socket = connect(port, "127.0.0.1").pause();
  socket.on("error", () => {}).write("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  await once(socket, "readable");
  for (let n = 0; n < 5; n++) {
    socket.write("\0".repeat(100));
    await ask(`http://127.0.0.1:${port}/healthz`);
  }
  let text = "";
  socket.setEncoding("latin1").on("data", (data: string) => {
    text += data;
  });
  await once(socket.resume(), "close");
  expect(statuses(text)).toEqual([200]);
  expect(text.length).toBeGreaterThan(LARGE);
});

test("bytes that are not HTTP get 400 when no reply is pending", async () => {
  const { port } = await start();
  expect((await hear(port, kinds.garbage)).statuses).toEqual([400]);
  const socket = connect(port, "127.0.0.1");
  let text = "";
  socket.setEncoding("latin1").on("data", (data: string) => {
    text += data;
  });
  socket.write(GET);
  await until(() => text.endsWith("ok"));
  socket.write(kinds.garbage);
  await once(socket, "close");
  expect(statuses(text)).toEqual([200, 400]);
});

test("a malformed chunked body is 400, also while its request is read", async () => {
  const { port, ann } = await start();
  const head = `POST /put_post/ann HTTP/1.1\r\nHost: x\r\nCookie: ${ann.cookie}\r\n`;
  const form = "Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n";
  expect((await hear(port, `${head}${form}9\r\nmessage=a\r\nnonsense`)).statuses).toEqual([400]);
});
