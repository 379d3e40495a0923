/** The router over real sockets: paths lead to handlers, and every request ends exactly once. */
import { once } from "node:events";
import { afterEach, expect, test, vi } from "vitest";
import { DEFERRED, HttpError, send } from "../../src/http/response.js";
import type { Handler } from "../../src/http/router.js";
import { ask, awaited, dial, listenRouter, raw } from "./listen.js";

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
const GET = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

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
  return [status, headers.allow ?? `${body}`];
}

test.each<readonly [string, number, string]>([
  ["GET /", 200, "root"],
  ["GET /?a=/room/b", 200, "root"],
  ["GET /room/ann", 200, "without slash"],
  ["POST /room/ann", 200, "posted"],
  ["GET /room/ann/", 200, '{"user":"ann"}'],
  ["GET /room/all/", 200, '{"user":"all"}'],
  ["GET /room/ann/x", 200, '{"user":"ann","thing":"x"}'],
  ["GET /%E5%AD%97%20b", 200, "decoded"],
  ["GET /room/a%2Fb%3F%20%25/", 200, '{"user":"a/b? %"}'],
  ...["__proto__", "constructor", ":user", "..", ".", "\0", "a+b", "😀"].map(
    (user) => [`GET /room/${encodeURIComponent(user)}/`, 200, JSON.stringify({ user })] as const,
  ),
  ["HEAD /room/ann", 200, ""],
  ...["/room/%/", "/%zz", "/room/%ff/", "/%c0%af", "/room/%ed%a0%80/"].map(
    (path) => [`GET ${path}`, 400, "bad_request"] as const,
  ),
  ...["/nothing", "//", "/room", "/room/", "/room//", "/post/", "//post", "/x/../post", "/chatxcss", "*"].map(
    (path) => [`GET ${path}`, 404, "not_found"] as const,
  ),
  ...["/room%2Fann", `/${"a/".repeat(3000)}`, "/__proto__"].map(
    (path) => [`GET ${path}`, 404, "not_found"] as const,
  ),
  ["POST /", 405, "GET, HEAD"],
  ["GET /post", 405, "POST"],
  ["HEAD /post", 405, "POST"],
  ["DELETE /room/ann", 405, "GET, HEAD, POST"],
  ["OPTIONS /room/ann", 405, "GET, HEAD, POST"],
])("%.50s is %s %s", async (line, status, body) => {
  expect(await route(line)).toEqual([status, body]);
});

test("a handler may answer at once, later, or by itself", async () => {
  const { port } = await listenRouter({
    "GET /now": text("now"),
    "GET /later": async () => ({ status: 200, body: "later" }),
    "GET /held": ({ res }) => {
      setImmediate(() => send(res, { status: 200, body: "held" }));
      return DEFERRED;
    },
  });
  for (const body of ["now", "later", "held"]) expect(`${(await ask(port, `/${body}`)).body}`).toBe(body);
});

test("an HttpError is sent with its headers, thrown at once or later", async () => {
  const { port, failures } = await listenRouter({ "GET /now": refuse, "GET /later": async () => refuse() });
  for (const path of ["/now", "/later"]) {
    const { status, headers, body } = await ask(port, path);
    expect([status, headers["retry-after"], `${body}`]).toEqual([429, "3", "slow_down"]);
  }
  expect(failures).toEqual([]);
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
  expect([status, `${body}`]).toEqual([500, expect.not.stringContaining("secret")]);
  expect(failures).toHaveLength(1);
});

test("an error that cannot be made a response is a 500", async () => {
  const handlers = { "GET /now": refuse, "GET /later": async () => refuse() };
  const { port } = await listenRouter(handlers, { toResponse: boom });
  for (const path of ["/now", "/later", "/nothing"]) expect((await ask(port, path)).status).toBe(500);
});

test("a handler that throws after the head of its reply closes the connection", async () => {
  const begun: Handler = ({ res }) => {
    res.writeHead(200, { "Content-Length": 100 }).write("begun");
    throw new Error("in the middle");
  };
  const { port, failures } = await listenRouter({ "GET /now": begun, "GET /later": async (r) => begun(r) });
  for (const path of ["/now", "/later"]) {
    await expect(ask(port, path)).rejects.toMatchObject({ code: "ECONNRESET" });
  }
  expect(failures).toHaveLength(2);
});

test("a client that disconnects before its reply harms no other client", async () => {
  const arrived = awaited();
  const { port, failures } = await listenRouter({
    "GET /": async ({ res }) => {
      arrived.resolve();
      await once(res, "close");
      throw new Error("too late");
    },
    "GET /other": text("still here"),
  });
  const socket = await dial(port, GET);
  await arrived.promise;
  socket.destroy();
  expect(`${(await ask(port, "/other")).body}`).toBe("still here");
  expect(failures).toHaveLength(1);
});

test("a body that no handler reads leaves the connection usable", async () => {
  const { port } = await listenRouter({ "POST /": refuse, "GET /": text("next") });
  const post = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n${"x".repeat(20_000)}`;
  expect(await raw(port, post + GET)).toMatch(/^HTTP\/1.1 429 .*HTTP\/1.1 200 .*next$/s);
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
