/** A mounted chat: under a path, beside others, after a body parser, and with the log-in of the host. */
import { once } from "node:events";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import express from "express";
import { expect, test } from "vitest";
import type { Chat } from "../../src/index.js";
import { awaited } from "../http/listen.js";
import { chatPerTest, until } from "../wire/chat.js";
import { ask, code, cookieOf, FORM, HTML, login, Person, texts } from "../wire/person.js";

const start = chatPerTest();

/** Gives what is not the chat's to the host. */
const beside = (handler: Chat["handler"]): RequestListener => {
  return (req, res) => handler(req, res, () => res.end(`host: ${req.url}`));
};

/** Logs in as a browser. Returns the cookie, which belongs to the folder of the URL (RFC 6265, section 5.1.4). */
async function keep(url: string, name: string): Promise<string> {
  const reply = await login(url, name);
  expect(reply.headers["set-cookie"]?.[0]).not.toMatch(/path=/i);
  return cookieOf(reply);
}

test("all pages and the cookie of a chat under a deep path stay below that path", async () => {
  const { url } = await start({ path: "/deep/er/path" });
  const base = `${url}/deep/er/path`;
  const cookie = await keep(base, "Ann?");
  let at = base;
  for (const [location, status] of [
    ["./path/", 308],
    ["chatroom/Ann%3F/", 303],
  ] as const) {
    const reply = await ask(at, { headers: { Cookie: cookie, ...HTML } });
    expect([reply.status, reply.headers.location]).toEqual([status, location]);
    at = new URL(location, at).href;
  }
  expect(at).toBe(`${base}/chatroom/Ann%3F/`);
  expect((await ask(at, { headers: { Cookie: cookie } })).status).toBe(200);
  expect((await ask(`${base}?a=b`)).headers.location).toBe("./path/");
});

test("a request outside of the path goes to next, and one for a path of the chat does not", async () => {
  const path = "/deep/er/path";
  const [{ url }, { url: alone }] = [await start({ path, wrap: beside }), await start({ path })];
  const deep = ["/deep/er/pathology", "/deep/er", "/deep/er/path/x"];
  for (const path of ["/", "/other", "/login", "/chatroom/ann/", "/x/%ff", "/x%zz", ...deep]) {
    expect((await ask(url + path)).body).toBe(`host: ${path}`);
    expect(code(await ask(alone + path))).toEqual([404, "not_found"]);
  }
  const wrongMethod = await ask(`${url}/deep/er/path/who`, { method: "DELETE" });
  expect(code(wrongMethod)).toEqual([405, "method_not_allowed"]);
});

test("an error page at any path links to the chat", async () => {
  const { url } = await start({ path: "/a/b" });
  for (const path of ["/a/b/x", "/a/b/x/y", "/a/b/who/", "/", "/z/y/x"]) {
    const { body } = await ask(url + path, { headers: HTML });
    const link = /class="button" href="([^"]+)"/.exec(body)?.[1] ?? "";
    expect([path, new URL(link, url + path).pathname]).toEqual([path, "/a/b/"]);
  }
  const { body } = await ask(`${url}/a/b`, { method: "POST", headers: HTML });
  expect(body).toContain('href="./b/"');
});

test("a chat works under a path that Express removes, at any depth and beside another chat", async () => {
  const { chat: other } = await start();
  const { url } = await start({
    wrap(handler) {
      const app = express();
      app.use("/deep/er", express.Router().use("/one", handler)).use("/two", other.handler);
      return app.use((_req, res) => void res.send("host"));
    },
  });
  const moved = await ask(`${url}/deep/er/one?x`, { headers: HTML });
  expect([moved.status, moved.headers.location]).toEqual([308, "./one/"]);
  expect((await ask(`${url}/deep/er/one/`)).headers.location).toBe("login");
  expect((await ask(`${url}/deep/er/one/nothing`)).body).toBe("host");
  const ann = await Person.login(`${url}/deep/er/one`, "ann");
  await ann.post("in one");
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["in one"]);
  const foreign = await ask(`${url}/two/get_post/ann?since=0`, { headers: { Cookie: ann.cookie } });
  expect(foreign.status).toBe(401);
});

test("a chat at the root and a chat below use separate cookies in one browser", async () => {
  const { chat: root } = await start();
  const { url } = await start({
    path: "/b",
    wrap: (handler) => (req, res) => handler(req, res, () => root.handler(req, res)),
  });
  const [atRoot, atB] = [await keep(url, "ann"), await keep(`${url}/b`, "ben")];
  const locationOf = async (path: string, Cookie: string) =>
    (await ask(url + path, { headers: { Cookie } })).headers.location;
  // For /b/ a browser sends both, the longer path first. Some browsers send them in another order.
  for (const cookie of [`${atB}; ${atRoot}`, `${atRoot}; ${atB}`])
    expect(await locationOf("/b/", cookie)).toBe("chatroom/ben/");
  expect(await locationOf("/", atRoot)).toBe("chatroom/ann/");
  // A log-in at the root is not valid below.
  expect(await locationOf("/b/", atRoot)).toBe("login");
});

test.each([
  ["urlencoded and json", [express.urlencoded({ extended: false }), express.json()]],
  ["text", [express.text({ type: "*/*" })]],
  ["raw", [express.raw({ type: "*/*" })]],
  ["none", []],
])("the chat reads a body after the body parsers of Express: %s", async (_, parsers) => {
  const { url } = await start({
    wrap(handler) {
      const app = express();
      for (const parser of parsers) app.use(parser);
      return app.use(handler);
    },
  });
  const ann = await Person.login(url, "ann");
  await ann.post("as a form, 世界");
  const headers = { "Content-Type": "application/json" };
  const say = (body: string) => ann.ask("put_post/ann", { method: "POST", headers, body });
  expect((await say('{"message":"as JSON","key":"k"}')).status).toBe(200);
  expect(code(await say('{"message":["a list"]}'))).toEqual([400, "bad_request"]);
  expect(code(await say(""))).toEqual([422, "bad_message"]);
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["as a form, 世界", "as JSON"]);
  expect((await ann.ask("leave/ann", { method: "POST" })).status).toBe(204);
});

test("a body that the host has read and dropped gets a 500 and a line in the log", async () => {
  const { url, log } = await start({
    wrap: (handler) => (req, res) => void req.resume().once("end", () => handler(req, res)),
  });
  const send = async (body?: string) =>
    code(await ask(`${url}/login`, { method: "POST", headers: FORM, ...(body && { body }) }));
  expect(await send("name=ann")).toEqual([500, "internal"]);
  expect(log.splice(0).join()).toContain("req.body");
  // An empty body is not missing.
  expect(await send()).toEqual([422, "bad_name"]);
});

const byHeader = (req: IncomingMessage) => req.headers["x-user"]?.toString();
const byThenable = (req: IncomingMessage) => {
  const then: PromiseLike<string | undefined>["then"] = (done) => Promise.resolve(byHeader(req)).then(done);
  return { then };
};

test.each([
  ["a name at once", byHeader],
  ["a promise of a name", async (req: IncomingMessage) => byHeader(req)],
  ["null for a stranger", (req: IncomingMessage) => byHeader(req) ?? null],
  ["a thenable", byThenable],
])("identify may return %s", async (_, identify) => {
  const { url, chat } = await start({ identify });
  const as = (user: string) => ({ headers: { "X-User": user } });
  expect(code(await ask(`${url}/get_post/ann?since=0`))).toEqual([401, "no_session"]);
  expect(code(await ask(`${url}/get_post/ann?since=0`, as("ben")))).toEqual([403, "not_you"]);
  const poll = ask(`${url}/get_post/ann?since=now&wait=60`, as("ann"));
  await until(() => chat.present.length === 1);
  const headers = { ...as("ben").headers, ...FORM };
  const post = await ask(`${url}/put_post/ben`, { headers, method: "POST", body: "message=hi" });
  expect(post.status).toBe(200);
  expect(JSON.parse((await poll).body).messages.at(-1)).toMatchObject({ user: "ben", text: "hi" });
  expect((await ask(`${url}/`, as(" Ann "))).headers.location).toBe("chatroom/Ann/");
  expect((await ask(`${url}/leave/ann`, { ...as("ann"), method: "POST" })).status).toBe(204);
  expect(chat.present).toEqual([]);
});

test("a poll whose caller disconnects during identify is not held", async () => {
  const asked = awaited<IncomingMessage>();
  const name = awaited<string>();
  const { url, chat } = await start({
    identify: (req) => {
      asked.resolve(req);
      return name.promise;
    },
  });
  const gone = new AbortController();
  const poll = ask(`${url}/get_post/ann?since=now&wait=60`, { signal: gone.signal });
  const closed = once((await asked.promise).socket, "close");
  gone.abort();
  await expect(poll).rejects.toThrow("ABORT_ERR");
  await closed;
  name.resolve("ann");
  await until(() => chat.present.length === 1);
  expect(chat.waiting).toBe(0);
});

test.each([
  ["breaks a rule", () => "a/b"],
  ["is not a text", () => 5 as unknown as string],
])("an identify result that %s gets a 500 and a line in the log", async (_, identify) => {
  const { url, log } = await start({ identify });
  expect(code(await ask(`${url}/get_post/x?since=0`))).toEqual([500, "internal"]);
  expect(log.splice(0).join()).toMatch(/name/);
});

test("a chat with identify has no log-in, log-out or cookie, and still rejects other sites", async () => {
  const { url } = await start({ identify: byHeader, wrap: beside });
  const headers = { "X-User": "ann" };
  for (const [method = "", path] of [
    ["GET", "login"],
    ["POST", "login"],
    ["POST", "logout"],
  ])
    expect((await ask(`${url}/${path}`, { method, headers })).body).toBe(`host: /${path}`);
  const page = await ask(`${url}/chatroom/ann/`, { headers: { ...headers, ...HTML } });
  expect(page.status).toBe(200);
  expect(page.body).not.toContain("logout");
  expect(page.headers["set-cookie"]).toBeUndefined();
  const foreign = { ...headers, ...FORM, "Sec-Fetch-Site": "cross-site" };
  const post = await ask(`${url}/put_post/ann`, { method: "POST", headers: foreign, body: "message=x" });
  expect(code(post)).toEqual([403, "foreign_origin"]);
});

test("a held poll that the host has answered is not answered again, and others get their messages", async () => {
  const held: ServerResponse[] = [];
  const { url, chat } = await start({
    wrap: (handler) => (req, res) => {
      if (req.url?.includes("client=late")) held.push(res);
      handler(req, res);
    },
  });
  const [ann, bob] = [await Person.login(url, "ann"), await Person.login(url, "bob")];
  const late = ann.ask("get_post/ann?since=now&wait=60&client=late");
  await until(() => chat.waiting === 1);
  const poll = bob.batch("since=now&wait=60");
  await until(() => chat.waiting === 2);
  held[0]?.writeHead(504);
  held[0]?.flushHeaders();
  await chat.post({ user: "bot", text: "hello" });
  expect(texts(await poll)).toEqual(["hello"]);
  held[0]?.end();
  expect((await late).status).toBe(504);
});
