/** A mounted chat: under a path, beside others, after a body parser, and with the log-in of the host. */
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import express from "express";
import { expect, test } from "vitest";
import { awaited, endLater } from "../feed/http.js";
import { start, startRoom, until } from "../wire/chat.js";
import { ask, code, cookieOf, FORM, HTML, JSON_TYPE, login, texts } from "../wire/person.js";
import { dial, get, statuses } from "../wire/raw.js";

test("a request outside of the path goes to next, and one for a path of the chat does not", async () => {
  const path = "/deep/er/path";
  const { url: alone } = await start({ path });
  // Gives what is not the chat's to the host.
  const { url } = await start({
    path,
    wrap: (handler) => (req, res) => handler(req, res, () => res.end(`host: ${req.url}`)),
  });
  const deep = ["/deep/er/pathology", "/deep/er", "/deep/er/path/x"];
  for (const path of ["/", "/other", "/login", "/chatroom/ann/", "/x/%ff", "/x%zz", ...deep]) {
    expect((await ask(url + path)).body).toBe(`host: ${path}`);
    expect(code(await ask(alone + path))).toEqual([404, "not_found"]);
  }
  const wrongMethod = await ask(`${url}/deep/er/path/who`, { method: "DELETE" });
  expect(code(wrongMethod)).toEqual([405, "method_not_allowed"]);
});

test("an error that next throws goes to the host, which answers", async () => {
  const { url } = await start({
    wrap: (handler) => (req, res) => {
      try {
        handler(req, res, () => {
          throw new Error("the host's");
        });
      } catch (error) {
        res.writeHead(502).end(`${error}`);
      }
    },
  });
  expect(await ask(`${url}/elsewhere`)).toMatchObject({ status: 502, body: "Error: the host's" });
  expect((await ask(`${url}/who`)).status).toBe(200);
});

test("an error reply arrives through a middleware that ends replies later", async () => {
  const { url, ann } = await startRoom({ wrap: endLater });
  expect((await ann.say("hello")).status).toBe(200);
  expect(code(await ann.say(""))).toEqual([422, "bad_message"]);
  expect((await ann.say("", HTML)).body).toContain("<!doctype html>");
  expect(code(await ask(`${url}/get_post/ann`))).toEqual([401, "no_session"]);
  expect(code(await ask(`${url}/who`, { method: "DELETE" }))).toEqual([405, "method_not_allowed"]);
});

test("requests that the host has answered already leave their connection open", async () => {
  const { port } = await start({
    wrap: (handler) => (req, res) => {
      if (req.url !== "/answered") return handler(req, res);
      res.end(() => handler(req, res));
    },
  });
  const { text, send, socket } = dial(port);
  for (let n = 1; n <= 20; n++) {
    send(get("/answered"));
    await until(() => statuses(text()).length === n || socket.destroyed);
  }
  send(get("/healthz", "Connection: close"));
  await until(() => socket.destroyed);
  expect(statuses(text())).toHaveLength(21);
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

test("a chat works under a path that Express removes, at any depth", async () => {
  const { url } = await start({
    wrap: (handler) =>
      express()
        .use("/deep/er", express.Router().use("/one", handler))
        .use((_req, res) => void res.send("host")),
  });
  const moved = await ask(`${url}/deep/er/one?x`, { headers: HTML });
  expect([moved.status, moved.headers.location]).toEqual([308, "./one/"]);
  expect((await ask(`${url}/deep/er/one/`)).headers.location).toBe("login");
  expect((await ask(`${url}/deep/er/one/nothing`)).body).toBe("host");
});

test("a chat at the root and a chat below use separate cookies in one browser", async () => {
  const { chat: root } = await start();
  const { url } = await start({
    path: "/b",
    wrap: (handler) => (req, res) => handler(req, res, () => root.handler(req, res)),
  });
  const replies = [await login(url, "ann"), await login(`${url}/b`, "ben")];
  // So a cookie belongs to the folder of its URL (RFC 6265, section 5.1.4).
  for (const { headers } of replies) expect(headers["set-cookie"]?.[0]).not.toMatch(/path=/i);
  const [atRoot = "", atB = ""] = replies.map(cookieOf);
  const locationOf = async (path: string, Cookie: string) =>
    (await ask(url + path, { headers: { Cookie } })).headers.location;
  // For /b/ a browser sends both, the longer path first. Some browsers send them in another order.
  for (const cookie of [`${atB}; ${atRoot}`, `${atRoot}; ${atB}`])
    expect(await locationOf("/b/", cookie)).toBe("chatroom/ben/");
  expect(await locationOf("/", atRoot)).toBe("chatroom/ann/");
  // A log-in at the root is not valid below.
  expect(await locationOf("/b/", atRoot)).toBe("login");
});

test("the chat reads a body after any body parser of Express", async () => {
  const all = { type: "*/*" };
  for (const parsers of [
    [express.urlencoded({ extended: false }), express.json()],
    [express.text(all)],
    [express.raw(all)],
    [express.urlencoded()],
  ]) {
    const { ann } = await startRoom({ wrap: (handler) => express().use(...parsers, handler) });
    await ann.post("as a form, 世界");
    const say = (body: string) => ann.send("put_post/ann", body, JSON_TYPE);
    expect((await say('{"message":"as JSON","key":"k"}')).status).toBe(200);
    expect(code(await say('{"message":["a list"]}'))).toEqual([400, "bad_request"]);
    expect(code(await say(""))).toEqual([422, "bad_message"]);
    expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["as a form, 世界", "as JSON"]);
    expect((await ann.ask("leave/ann", { method: "POST" })).status).toBe(204);
  }
});

test("a body that the host has read and dropped gets a 500 and a line in the log", async () => {
  const { url, log } = await start({
    wrap: (handler) => (req, res) => void req.resume().once("end", () => handler(req, res)),
  });
  expect(code(await login(url, "ann"))).toEqual([500, "internal"]);
  expect(log.splice(0).join()).toContain("req.body");
  // An empty body is not missing.
  expect(code(await ask(`${url}/login`, { method: "POST", headers: FORM }))).toEqual([422, "bad_name"]);
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
  const get = (path: string, user?: string) =>
    ask(url + path, { headers: { ...(user && { "X-User": user }) } });
  const post = (path: string, user: string, body = "", headers = {}) =>
    ask(url + path, { method: "POST", headers: { ...FORM, ...headers, "X-User": user }, body });
  expect(code(await get("/get_post/ann?since=0"))).toEqual([401, "no_session"]);
  expect(code(await get("/get_post/ann?since=0", "ben"))).toEqual([403, "not_you"]);
  const poll = get("/get_post/ann?since=now&wait=60", "ann");
  await until(() => chat.present.length === 1);
  expect((await post("/put_post/ben", "ben", "message=hi")).status).toBe(200);
  expect(JSON.parse((await poll).body).messages.at(-1)).toMatchObject({ user: "ben", text: "hi" });
  const forged = await post("/put_post/ben", "ben", "message=x", { "Sec-Fetch-Site": "cross-site" });
  expect(code(forged)).toEqual([403, "foreign_origin"]);
  expect((await get("/", " Ann ")).headers.location).toBe("chatroom/Ann/");
  expect((await post("/leave/ann", "ann")).status).toBe(204);
  expect(chat.present).toEqual([]);
});

test("behind the host's log-in a browser gets to its room without a cookie or a log-out, and a stranger a 401", async () => {
  const { url } = await start({ path: "/chat", identify: byHeader });
  const stranger = await ask(`${url}/chat/chatroom/Ann/`, { headers: HTML });
  expect([stranger.status, stranger.body]).toEqual([401, expect.stringContaining('href="../../"')]);
  expect(stranger.body).toContain("Log in to this site first, then come back.");
  const headers = { ...HTML, "X-User": "Ann" };
  let at = `${url}/chat`;
  let reply = await ask(at, { headers });
  for (; reply.headers.location !== undefined; reply = await ask(at, { headers }))
    at = new URL(reply.headers.location, at).href;
  expect([at, reply.headers["set-cookie"]]).toEqual([`${url}/chat/chatroom/Ann/`, undefined]);
  expect(reply.body).not.toContain("logout");
  for (const path of ["login", "logout"])
    expect((await ask(`${url}/chat/${path}`, { headers })).status).toBe(404);
});

test("a poll whose caller disconnects during identify is not held", async () => {
  const [asked, name] = [awaited<IncomingMessage>(), awaited<string>()];
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

test("an identify result that breaks a rule or is not a text gets a 500 and a line in the log", async () => {
  for (const result of ["a/b", 5 as unknown as string]) {
    const { url, log } = await start({ identify: () => result });
    expect(code(await ask(`${url}/get_post/x?since=0`))).toEqual([500, "internal"]);
    expect(log.splice(0).join()).toMatch(/name/);
  }
});

test("a held poll that the host has answered is not answered again, and others get their messages", async () => {
  const held: ServerResponse[] = [];
  const { ann, bob, chat } = await startRoom({
    wrap: (handler) => (req, res) => {
      if (req.url?.includes("client=late")) held.push(res);
      handler(req, res);
    },
  });
  const late = ann.poll("since=now&wait=60&client=late");
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
