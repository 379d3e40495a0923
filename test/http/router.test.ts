/** The router over real sockets: paths lead to handlers, and every request ends exactly once. */
import { once } from "node:events";
import { afterEach, expect, test, vi } from "vitest";
import { HttpError, send } from "../../src/http/response.js";
import type { Handler } from "../../src/http/router.js";
import { dial, get, hear, post } from "../wire/raw.js";
import { ask, awaited, listen, listenRouter } from "./listen.js";

const echo: Handler = ({ params }) => ({ status: 200, body: JSON.stringify(params) });
const text =
  (body: string): Handler =>
  () => ({ status: 200, body });
const boom = () => {
  throw new Error("secret detail");
};
const refuse = () => {
  throw new HttpError(429, "slow_down", "Slow down.", { "Retry-After": "3" });
};
const LAST = get("/", "Connection: close");

const unhandled = vi.fn();
process.on("unhandledRejection", unhandled);
afterEach(() => {
  expect(unhandled).not.toHaveBeenCalled();
});

async function route(line: string) {
  const [method = "", path = ""] = line.split(" ");
  const { port } = await listenRouter({
    "GET /": text("root"),
    "GET /room/:user": text("without slash"),
    "GET /room/:user/": echo,
    "GET /room/:user/:thing": echo,
    "POST /room/:user": text("posted"),
    "GET /room/all/": text("never: an earlier pattern matches"),
    "POST /post": text("post"),
    "GET /chat.css": text("style"),
    "GET /字 b": text("decoded"),
  });
  const { status, body, headers } = await ask(port, path, { method });
  return [status, headers.allow ?? body];
}

const NAMES = ["__proto__", "constructor", ":user", "..", ".", "\0", "a+b", "😀", "a/b? %"];
const MALFORMED = ["/room/%/", "/%zz", "/room/%ff/", "/%c0%af", "/room/%ed%a0%80/"];
const UNKNOWN = [
  "/nothing",
  "//",
  "/room",
  "/room/",
  "/room//",
  "/post/",
  "//post",
  "/x/../post",
  "/chatxcss",
  "*",
];
const LONG = ["/room%2Fann", `/${"a/".repeat(3000)}`, "/__proto__"];
test.each<readonly [string, number, string]>([
  ["GET /?a=/room/b", 200, "root"],
  ["GET /room/ann", 200, "without slash"],
  ["POST /room/ann", 200, "posted"],
  ["GET /room/all/", 200, '{"user":"all"}'],
  ["GET /room/ann/x", 200, '{"user":"ann","thing":"x"}'],
  ["GET /%E5%AD%97%20b", 200, "decoded"],
  ...NAMES.map((user) => [`GET /room/${encodeURIComponent(user)}/`, 200, JSON.stringify({ user })] as const),
  ["HEAD /room/ann", 200, ""],
  ...MALFORMED.map((path) => [`GET ${path}`, 400, "bad_request"] as const),
  ...[...UNKNOWN, ...LONG].map((path) => [`GET ${path}`, 404, "not_found"] as const),
  ["POST /", 405, "GET, HEAD"],
  ["HEAD /post", 405, "POST"],
  ["DELETE /room/ann", 405, "GET, HEAD, POST"],
])("%.50s is %s %s", async (line, status, body) => {
  expect(await route(line)).toEqual([status, body]);
});

const header = { status: 200, headers: { Location: "a\r\nSet-Cookie: b" } };
test.each<[string, Handler]>([
  ["throws an error", boom],
  ["rejects with an error", async () => boom()],
  ["rejects with null", () => Promise.reject(null)],
  ["returns a header that cannot be sent", () => header],
  ["resolves with a header that cannot be sent", async () => header],
])("a handler that %s gets a 500 without details, and onError the error", async (_, handler) => {
  const { port, failures } = await listenRouter({ "GET /": handler });
  const { status, body } = await ask(port, "/");
  expect([status, body]).toEqual([500, expect.not.stringContaining("secret")]);
  expect(failures).toHaveLength(1);
});

test("an HttpError is sent with its headers, or is a 500 if it cannot be made a response", async () => {
  const handlers = { "GET /now": refuse, "GET /later": async () => refuse() };
  const { port, failures } = await listenRouter(handlers);
  const broken = await listenRouter(handlers, { toResponse: boom });
  for (const path of ["/now", "/later"]) {
    const { status, headers, body } = await ask(port, path);
    expect([status, headers["retry-after"], body]).toEqual([429, "3", "slow_down"]);
    expect((await ask(broken.port, path)).status).toBe(500);
  }
  expect(failures).toEqual([]);
});

test("a handler that throws after the head of its reply closes the connection", async () => {
  const begun: Handler = ({ res }) => {
    res.writeHead(200, { "Content-Length": 100 }).write("begun");
    throw new Error("in the middle");
  };
  const { port, failures } = await listenRouter({ "GET /now": begun, "GET /later": async (r) => begun(r) });
  for (const path of ["/now", "/later"]) await expect(ask(port, path)).rejects.toThrow("ECONNRESET");
  expect(failures).toHaveLength(2);
});

test("a client that disconnects before its reply harms no other client", async () => {
  const arrived = awaited();
  const { port, failures } = await listenRouter({
    "GET /": async ({ res }) => {
      arrived.resolve();
      await once(res, "close");
      send(res, { status: 200, body: "too late" });
      expect(res.headersSent).toBe(false);
      throw new Error("too late");
    },
    "GET /other": text("still here"),
  });
  const { socket } = dial(port, LAST);
  await arrived.promise;
  socket.destroy();
  expect((await ask(port, "/other")).body).toBe("still here");
  expect(failures).toEqual([new Error("too late")]);
});

test("a body that no handler reads leaves the connection usable", async () => {
  const { port } = await listenRouter({ "POST /": refuse, "GET /": text("next") });
  const { text: replies } = await hear(port, post("/", "x".repeat(20_000)) + LAST);
  expect(replies).toMatch(/^HTTP\/1.1 429 .*HTTP\/1.1 200 .*next$/s);
});

test("every reply of a closing router closes its connection", async () => {
  const handlers = {
    "GET /reply": text("bye"),
    "GET /later": async () => ({ status: 200 }),
    "GET /boom": boom,
  };
  const { port } = await listenRouter(handlers, { closing: () => true });
  for (const path of ["/reply", "/later", "/nothing", "/boom"]) {
    const { headers } = await ask(port, path, { headers: { Connection: "keep-alive" } });
    expect(headers.connection, path).toBe("close");
  }
});

test.each<[number, string | Buffer, string]>([
  [200, "a\ud800b", "a\ufffdb"],
  [200, "字".repeat(5000), "字".repeat(5000)],
  [200, Buffer.from([0, 1, 13, 10, 0]), "\0\u0001\r\n\0"],
  [308, "", ""],
  [204, "", ""],
])(
  "a reply with the status %d and the body %.20j is sent once, and for HEAD without its body",
  async (status, body, expected) => {
    const answer: Parameters<typeof listen>[0] = (_req, res) => {
      send(res, { status, body });
      send(res, { status: 500, body: "second" });
    };
    const { port } = await listen(answer, { rejectNonStandardBodyWrites: true });
    const length = status === 204 ? undefined : `${Buffer.byteLength(expected)}`;
    const reply = await ask(port, "/");
    expect([reply.status, reply.body, reply.headers["content-length"]]).toEqual([status, expected, length]);
    const head = await ask(port, "/", { method: "HEAD" });
    expect([head.status, head.body, head.headers["content-length"]]).toEqual([status, "", length]);
  },
);
