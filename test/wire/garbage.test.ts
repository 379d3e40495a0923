/** Malformed, slow or oversized bytes behind a pending reply: no error reply takes its place. */
import { once } from "node:events";
import type { RequestListener } from "node:http";
import { describe, expect, test } from "vitest";
import type { ServeOptions } from "../../src/index.js";
import { roomPerTest, until } from "./chat.js";
import { ask } from "./person.js";
import { dial, get, hear, post, statuses } from "./raw.js";

const LARGE = 8 * 1024 * 1024;
const HEALTH = get("/healthz");
/** A host with a large reply of its own. */
const wrap =
  (handler: RequestListener): RequestListener =>
  (req, res) =>
    req.url === "/large" ? res.end("x".repeat(LARGE)) : handler(req, res);

const startChat = roomPerTest();
const start = (serve: ServeOptions = { headersTimeout: 100 }) => startChat({ serve, wrap });

const kinds = {
  garbage: "\0\0\0\0",
  "a bare line feed": "GET /\nHost: x\n\n",
  "two lengths": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
  "a head that is too large": get("/", `X: ${"x".repeat(20_000)}`),
  "a head that is too slow": "GET / HTTP/1.1\r\nHost: ",
};

describe.each(Object.entries(kinds))("%s", (_what, bytes) => {
  test("behind a held poll closes its connection without a reply", async () => {
    const { chat, port, ann } = await start();
    await ann.end();
    const poll = get("/get_post/ann?since=now&wait=60", `Cookie: ${ann.cookie}`);
    const atOnce = hear(port, poll + bytes);
    const { send, closed } = dial(port, `${poll.replace("wait", "client=a&wait")}`);
    await until(() => chat.waiting > 0);
    send(bytes);
    expect([(await atOnce).text, (await closed).text]).toEqual(["", ""]);
    await until(() => chat.waiting === 0);
  });

  test("behind pipelined requests gets no reply before theirs", async () => {
    const { port } = await start();
    const check = async (count: number) => {
      const replies = await hear(port, HEALTH.repeat(count) + bytes);
      expect(replies.statuses.slice(0, 1)).toEqual([200]);
      // An error status can come only after all replies.
      if (replies.statuses.some((status) => status !== 200)) expect(replies.statuses).toHaveLength(count + 1);
    };
    await Promise.all([1, 2, 5].map(check));
  });
});

test("a reply in progress is sent whole when garbage follows its request", async () => {
  const { port, url, server } = await start({});
  const asked = once(server, "request");
  const { socket, closed, send } = dial(port);
  // Without a listener for "readable", whose removal would resume the socket.
  socket.pause();
  send(get("/large"));
  await asked;
  for (let n = 0; n < 5; n++) {
    send("\0".repeat(100));
    await ask(`${url}/healthz`);
  }
  socket.resume();
  const { text } = await closed;
  expect(statuses(text)).toEqual([200]);
  expect(text.length).toBeGreaterThan(LARGE);
});

test("a malformed chunked body is 400, also while its request is read", async () => {
  const { port, ann } = await start();
  const chunked = post("/put_post/ann", "message=a", `Cookie: ${ann.cookie}`)
    .replace("Content-Length: 9", "Transfer-Encoding: chunked")
    .replace("message", "9\r\nmessage");
  expect((await hear(port, `${chunked}\r\nnonsense`)).statuses).toEqual([400]);
});
