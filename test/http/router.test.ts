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

async function route(path: string, method = "GET") {
  const { port } = await listenRouter({
    "GET /": text("root"),
    "GET /room/:user": text("without slash"),
    "GET /room/:user/": echo,
    "GET /room/:user/:thing": echo,
    "POST /room/:user": text("posted"),
    "GET /room/all/": text("never: an earlier pattern matches"),
    "POST /post": text("post"),
    "GET /字": text("decoded"),
  });
  const { status, body, headers } = await ask(port, path, { method });
  return { status, body: `${body}`, allow: headers.allow };
}

test.each([
  ["GET /", "root"],
  ["GET /?a=/room/b", "root"],
  ["GET /room/ann", "without slash"],
  ["GET /r%6Fom/ann", "without slash"],
  ["POST /room/ann", "posted"],
  ["GET /room/ann/", '{"user":"ann"}'],
  ["GET /room/all/", '{"user":"all"}'],
  ["GET /room/ann/x", '{"user":"ann","thing":"x"}'],
  ["GET /%E5%AD%97", "decoded"],
  ["GET /room/a%2Fb%3F%20%25/", '{"user":"a/b? %"}'],
  ["HEAD /room/ann", ""],
])("%s leads to the handler of its pattern", async (line, body) => {
  const [method, path = ""] = line.split(" ");
  expect(await route(path, method)).toMatchObject({ status: 200, body });
});

test.each(["__proto__", "constructor", ":user", "..", ".", "\0", "a+b", "😀"])(
  "the parameter %j reaches the handler unchanged",
  async (user) => {
    expect(JSON.parse((await route(`/room/${encodeURIComponent(user)}/`)).body)).toEqual({ user });
  },
);

test.each(["/room/%/", "/%zz", "/room/%ff/", "/%c0%af", "/room/%ed%a0%80/", "*"])(
  "the malformed path %s is 400",
  async (path) => {
    expect((await route(path)).status).toBe(400);
  },
);

test.each([
  ...["/nothing", "//", "/room", "/room/", "/room//", "/post/", "//post", "/x/../post", "/./post"],
  ...["/room%2Fann", `/${"a/".repeat(3000)}`, "/__proto__"],
])("the unknown path %.20s is 404", async (path) => {
  expect((await route(path)).status).toBe(404);
});

test.each([
  ["POST", "/", "GET, HEAD"],
  ["GET", "/post", "POST"],
  ["HEAD", "/post", "POST"],
  ["DELETE", "/room/ann", "GET, HEAD, POST"],
  ["OPTIONS", "/room/ann", "GET, HEAD, POST"],
])("%s %s is 405 with Allow", async (method, path, allow) => {
  expect(await route(path, method)).toMatchObject({ status: 405, allow });
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
  [
    "throws undefined",
    () => {
      throw undefined;
    },
  ],
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
  const { port } = await listenRouter(
    { "GET /now": refuse, "GET /later": async () => refuse() },
    { toResponse: boom },
  );
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
  const body = "x".repeat(20_000);
  const replies = await raw(
    port,
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}${GET}`,
  );
  expect(replies).toMatch(/^HTTP\/1.1 429 .*HTTP\/1.1 200 .*next$/s);
});

test.each(["/reply", "/later", "/nothing", "/boom"])(
  "the reply to %s closes a closing router's connection",
  async (path) => {
    const { port } = await listenRouter(
      { "GET /reply": text("bye"), "GET /later": async () => ({ status: 200 }), "GET /boom": boom },
      { closing: () => true },
    );
    const { headers } = await ask(port, path, { headers: { Connection: "keep-alive" } });
    expect(headers.connection).toBe("close");
  },
);
