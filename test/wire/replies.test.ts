/** Headers of every reply, requests with two Host headers, and replies to our forms in browsers with `Accept: any type`. */
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { chatPerTest, until } from "./chat.js";
import { ask, FORM, login, Person, type Reply, texts } from "./person.js";
import { get, hear, post } from "./raw.js";
import { startServer } from "./server.js";

const start = chatPerTest();

describe("X-Content-Type-Options: nosniff is on", () => {
  const sniffed = (replies: Record<string, Reply>) =>
    Object.entries(replies)
      .filter(([, { headers }]) => headers["x-content-type-options"] !== "nosniff")
      .map(([what, { status }]) => `${status} ${what}`);

  test("every reply of the chat", async () => {
    const { url, chat } = await start({ metrics: true });
    const [ann, bob] = [await Person.login(url, "ann"), await Person.login(url, "bob")];
    const etag = (await ask(`${url}/chat.css`)).headers.etag ?? "";
    const held = ann.poll("since=now&wait=60&client=a");
    const plain = ann.ask("get_post/ann");
    await until(() => chat.waiting === 2);
    const replies: Record<string, Reply> = {
      login: await login(url, "cat"),
      "log-out": await bob.logout(),
      home: await ann.ask(""),
      "no slash": await ann.ask("chatroom/ann"),
      room: await ann.ask("chatroom/ann/"),
      superseding: await ann.poll("since=0&wait=0&client=a"),
      superseded: await held,
      post: await ann.say("hello"),
      plain: await plain,
      "HEAD of a poll": await ann.poll("since=0", { method: "HEAD" }),
      leave: await ann.leave(),
      who: await ann.ask("who"),
      metrics: await ask(`${url}/metrics`),
      health: await ask(`${url}/healthz`),
      file: await ask(`${url}/chat.css`),
      "file, known": await ask(`${url}/chat.css`, { headers: { "If-None-Match": etag } }),
      "no such path": await ask(`${url}/nothing`),
      "wrong method": await ask(`${url}/who`, { method: "DELETE" }),
      "bad path": await ask(`${url}/%zz`),
      "too large": await ask(`${url}/login`, { method: "POST", headers: FORM, body: "n".repeat(70_000) }),
      "no session": await ask(`${url}/get_post/ann?since=0`),
    };
    const drained = ann.poll("since=now&wait=60");
    await until(() => chat.waiting === 1);
    await chat.close();
    replies.drained = await drained;
    replies.draining = await ask(`${url}/healthz`);
    expect(Object.values(replies).map(({ status }) => status)).toEqual([
      ...[303, 303, 303, 308, 200, 200, 200, 200, 200, 200, 204, 200, 200, 200, 200, 304, 404, 405, 400],
      ...[413, 401, 200, 503],
    ]);
    expect(sniffed(replies)).toEqual([]);
  });

  test("an internal error, and an error of a mounted chat", async () => {
    const faulty = await start({
      identify: () => {
        throw new Error("the host is broken");
      },
    });
    const reply = await ask(`${faulty.url}/who`);
    expect([reply.status, sniffed({ reply })]).toEqual([500, []]);
    faulty.log.splice(0);
  });

  test("the program's replies to malformed requests", async () => {
    const server = await startServer();
    const get = "GET /healthz HTTP/1.1\r\nConnection: close\r\n";
    for (const [bytes, status] of [
      ["nonsense\r\n\r\n", 400],
      ["GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", 400],
      [`${get}Host: x\r\nX: ${"x".repeat(17_000)}\r\n\r\n`, 431],
      [`${get}\r\n`, 400],
      [`${get}Host: x\r\nExpect: x\r\n\r\n`, 200],
    ] as const) {
      const { statuses, text } = await hear(server.port, bytes);
      expect([bytes.slice(0, 60), statuses]).toEqual([bytes.slice(0, 60), [status]]);
      expect(text.toLowerCase()).toContain("\r\nx-content-type-options: nosniff\r\n");
    }
    await server.stop();
  });
});

describe("a request with two Host headers", () => {
  test.each([["Host: x"], ["hOST: evil.test"], ["Host:"]])(
    "of which one is %j is 400, closes the connection and changes nothing",
    async (host) => {
      const { url, port } = await start();
      const ann = await Person.login(url, "ann");
      const said = post("/put_post/ann", "message=x", host, `Cookie: ${ann.cookie}`);
      const { statuses, text } = await hear(port, said + said);
      expect(statuses).toEqual([400]);
      expect(text).toContain('"bad_request"');
      expect(texts(await ann.batch("since=0&wait=0"))).toEqual([]);
    },
  );

  test("belongs to the host for a path outside the chat", async () => {
    const { chat, server, port } = await start({ path: "/chat" });
    server.removeAllListeners("request");
    server.on("request", (req, res) => chat.handler(req, res, () => res.end("the host's")));
    const two = ["Host: y", "Connection: close"];
    expect((await hear(port, get("/chat/who", ...two))).statuses).toEqual([400]);
    expect((await hear(port, get("/elsewhere", ...two))).text).toContain("the host's");
  });

  test("differs from HTTP/1.0 without a Host header", async () => {
    const server = await startServer();
    const zero = "GET /healthz HTTP/1.0\r\n";
    expect((await hear(server.port, `${zero}\r\n`)).statuses).toEqual([200]);
    expect((await hear(server.port, `${zero}Host: x\r\nHost: x\r\n\r\n`)).statuses).toEqual([400]);
    await server.stop();
  });
});

describe("a form of our pages in a browser that sends Accept: */*", () => {
  const ANY = { Accept: "*/*" };
  /** Returns the actions of the forms in a page, relative to the chat's root. */
  const actions = ({ body }: Reply) =>
    [...body.matchAll(/<form [^>]*action="(?:\.\.\/)*([^"]+)"/g)].map(([, action = ""]) => action);
  const isPage = ({ headers, body }: Reply) =>
    headers["content-type"] === "text/html; charset=utf-8" && body.startsWith("<!doctype html>");

  test("redirects after success", async () => {
    const { url } = await start();
    expect(actions(await ask(`${url}/login`))).toEqual(["login?page"]);
    const [action = ""] = actions(await ask(`${url}/login`));
    const headers = { ...FORM, ...ANY };
    const reply = await ask(`${url}/${action}`, { method: "POST", headers, body: "name=Ann+B" });
    expect([reply.status, reply.headers.location]).toEqual([303, "chatroom/Ann%20B/"]);
    const ann = Person.of(url, "Ann B", reply);
    const [logout = "", say = ""] = actions(await ann.ask("chatroom/Ann%20B/"));
    expect([logout, say]).toEqual(["logout?page", "put_post/Ann%20B?page"]);
    const said = await ann.send(say, "message=x", ANY);
    expect([said.status, said.headers.location]).toEqual([303, "../chatroom/Ann%20B/"]);
    expect((await ann.send(logout, "", ANY)).headers.location).toBe("login");
  });

  test("gets a page with the reason when it is refused", async () => {
    const { url } = await start({ loginRate: 1, postRate: 0.5 });
    vi.useFakeTimers({ toFake: ["performance"] });
    onTestFinished(() => void vi.useRealTimers());
    const ann = await Person.login(url, "ann");
    const foreign = { "Sec-Fetch-Site": "cross-site" };
    for (const [status, path, body, headers] of [
      [409, "login?page", "name=ann", { Cookie: "" }],
      [422, "login?page", "name=a/b", { Cookie: "" }],
      [303, "login?page", "name=x", { Cookie: "" }],
      [429, "login?page", "name=y", { Cookie: "" }],
      [403, "login?page", "name=z", foreign],
      [403, "logout?page", "", foreign],
      [401, "put_post/ann?page", "message=x", { Cookie: "" }],
      [403, "put_post/bob?page", "message=x", {}],
      [415, "put_post/ann?page", "message=x", { "Content-Type": "text/plain" }],
      [422, "put_post/ann?page", "message=", {}],
      [429, "put_post/ann?page", "message=x", {}],
      [401, "get_post/ann?page&since=0", "", { Cookie: "", Accept: "application/json" }],
    ] as const) {
      const reply = await ann.send(path, body, { ...ANY, ...headers });
      expect([path, reply.status, isPage(reply)]).toEqual([path, status, status !== 303]);
    }
  });

  test("differs from a script, which gets JSON", async () => {
    const { url } = await start();
    const { headers } = await ask(`${url}/put_post/ann?pages`, { method: "POST", headers: ANY });
    expect(headers["content-type"]).toBe("application/json");
  });
});
