/**
 * Connections: pipelined requests, which are executed in order and one at a time, or not at all, and malformed ones. The
 * fuzz test sends hundreds of sequences in which a reply closes the connection.
 */
import { once } from "node:events";
import { expect, test } from "vitest";
import { type StartOptions, start, startRoom, until } from "./chat.js";
import { ask, type Person, texts } from "./person.js";
import { dial, get, hear, post, statuses } from "./raw.js";

const CLOSE = "Connection: close";
const HEALTH = get("/healthz");
const LARGE = 8 * 1024 * 1024;
const by = ({ cookie }: Person) => `Cookie: ${cookie}`;
const said = async (person: Person) => texts(await person.batch("since=0&wait=0"));
const say = (text: string, person: Person, ...lines: string[]) =>
  post(`/put_post/${person.name}`, `message=${text}`, by(person), ...lines);

/** Starts the program's server with a large reply of the host's own. Ann is present, and `poll` is hers. */
async function begin(headersTimeout = 10_000) {
  const running = await startRoom({
    serve: {},
    wrap: (handler) => (req, res) => (req.url === "/large" ? res.end("x".repeat(LARGE)) : handler(req, res)),
  });
  running.server.headersTimeout = headersTimeout;
  await running.ann.end();
  return { ...running, poll: get("/get_post/ann?since=now&wait=60", by(running.ann)) };
}

test("a post behind a closing reply in an earlier packet is not executed", async () => {
  const { ann, port } = await begin();
  const { socket, send, closed } = dial(port, say("once", ann, CLOSE));
  socket.on("data", () => send(say("twice", ann)));
  expect((await closed).statuses).toEqual([200]);
  expect(await said(ann)).toEqual(["once"]);
});

test("behind a held poll, requests wait and are answered in order", async () => {
  const { chat, port, ann, poll } = await begin();
  const heard = hear(port, poll + say("behind", ann) + get("/who", by(ann)) + get("/healthz", CLOSE));
  await until(() => chat.waiting === 1);
  expect(await said(ann)).toEqual([]);
  await ann.post("go");
  const { text, statuses } = await heard;
  expect(statuses).toEqual([200, 200, 200, 200]);
  expect(text).toMatch(/"text":"go".*\{"id":"[0-9-]+"\}.*\{"count":1.*ok$/s);
});

test("behind a held poll, requests are dropped when their connection closes", async () => {
  const { chat, port, ann, poll } = await begin();
  for (const bytes of [poll + say("never", ann), poll.repeat(10)]) {
    const { socket } = dial(port, bytes);
    await until(() => chat.waiting === 1);
    socket.resetAndDestroy();
    await until(() => chat.waiting === 0);
  }
  expect(await said(ann)).toEqual([]);
});

test("behind a held poll, more than sixteen requests close the connection", async () => {
  const { chat, port, ann, poll } = await begin();
  expect((await hear(port, poll + HEALTH.repeat(17))).statuses).toEqual([]);
  await until(() => chat.waiting === 0);
  // Sixteen are allowed, any number of times.
  const { socket, send, text } = dial(port);
  for (let round = 1; round <= 3; round++) {
    send(poll + HEALTH.repeat(16));
    await until(() => chat.waiting === 1);
    await ann.post(`round${round}`);
    await until(() => statuses(text()).length === 17 * round);
  }
  socket.destroy();
  await until(() => chat.waiting === 0);
});

const fields = (count: number) => Array.from({ length: count - 2 }, (_, n) => `X-${n}: x`);

test.each([
  ["garbage", "\0\0\0\0"],
  ["a bare line feed", "GET /\nHost: x\n\n"],
  ["two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"],
  ["a head that is too large", get("/", `X: ${"x".repeat(20_000)}`)],
  ["a head with too many fields", get("/", ...fields(100))],
  ["a head that is too slow", "GET / HTTP/1.1\r\nHost: "],
])(
  "%s behind a held poll closes its connection without a reply, and gets none before earlier requests",
  async (_what, bytes) => {
    const { chat, port, poll } = await begin(100);
    const atOnce = hear(port, poll + bytes);
    const { send, closed } = dial(port, `${poll.replace("wait", "client=a&wait")}`);
    await until(() => chat.waiting > 0);
    send(bytes);
    expect([(await atOnce).text, (await closed).text]).toEqual(["", ""]);
    await until(() => chat.waiting === 0);
    const check = async (count: number) => {
      const replies = await hear(port, HEALTH.repeat(count) + bytes);
      expect(replies.statuses.slice(0, 1)).toEqual([200]);
      // An error status can come only after all replies.
      if (replies.statuses.some((status) => status !== 200)) expect(replies.statuses).toHaveLength(count + 1);
    };
    await Promise.all([1, 2, 5].map(check));
  },
);

test("a reply to a malformed request may not be sniffed, and a head has fewer than 64 fields", async () => {
  const { port } = await begin();
  const health = "GET /healthz HTTP/1.1\r\nConnection: close\r\n";
  for (const [bytes, status] of [
    ["nonsense\r\n\r\n", 400],
    ["GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", 400],
    [`${health}Host: x\r\nX: ${"x".repeat(17_000)}\r\n\r\n`, 431],
    [`${health}\r\n`, 400],
    [`${health}Host: x\r\nExpect: x\r\n\r\n`, 200],
    [get("/healthz", ...fields(63), CLOSE), 200],
    [get("/healthz", ...fields(64), CLOSE), 431],
    [get("/healthz", ...fields(200), CLOSE), 431],
    // HTTP/1.0 needs no Host.
    ["GET /healthz HTTP/1.0\r\n\r\n", 200],
    ["GET /healthz HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n", 400],
  ] as const) {
    const { statuses, text } = await hear(port, bytes);
    expect([bytes.slice(0, 60), statuses]).toEqual([bytes.slice(0, 60), [status]]);
    expect(text.toLowerCase()).toContain("\r\nx-content-type-options: nosniff\r\n");
  }
});

test("a request with two Host headers is 400, closes the connection and changes nothing", async () => {
  const { port, ann } = await begin();
  for (const host of ["Host: x", "hOST: evil.test", "Host:"]) {
    const { statuses, text } = await hear(port, say("x", ann, host).repeat(2));
    expect([host, statuses]).toEqual([host, [400]]);
    expect(text).toContain('"bad_request"');
  }
  expect(await said(ann)).toEqual([]);
  // For a path outside the chat, it belongs to the host.
  const wrap: StartOptions["wrap"] = (handler) => (req, res) =>
    handler(req, res, () => res.end("the host's"));
  const mounted = await start({ path: "/chat", wrap });
  const two = ["Host: y", CLOSE];
  expect((await hear(mounted.port, get("/chat/who", ...two))).statuses).toEqual([400]);
  expect((await hear(mounted.port, get("/elsewhere", ...two))).text).toContain("the host's");
});

test("a reply in progress is sent whole when garbage follows its request", async () => {
  const { port, url, server } = await begin();
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

test("requests with a body without a length count with the longest body", async () => {
  const { port, log } = await startRoom({
    bodyLimit: 1_000_000,
    serve: { maxBufferedBytes: 4 * 1024 * 1024 },
  });
  const head = post("/login", "").replace("Content-Length: 0", "Transfer-Encoding: chunked");
  const clients = Array.from({ length: 6 }, () => dial(port, `${head}5\r\nname=\r\n`));
  await until(() => log.length > 0);
  expect(log.splice(0).join()).toMatch(/^too many bytes are buffered: \d connections are closed$/);
  for (const { socket } of clients) socket.destroy();
});
