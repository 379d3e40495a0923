/** Headers of every reply, and the replies to our forms in browsers with `Accept: any `Accept``. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test, vi } from "vitest";
import { chatPerTest, until } from "./chat.js";
import { ask, FORM, login, Person, type Reply } from "./person.js";
import { hear } from "./raw.js";
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
      "log-out": await bob.ask("logout", { method: "POST" }),
      home: await ann.ask(""),
      "no slash": await ann.ask("chatroom/ann"),
      room: await ann.ask("chatroom/ann/"),
      superseding: await ann.poll("since=0&wait=0&client=a"),
      superseded: await held,
      post: await ann.say("hello"),
      plain: await plain,
      "HEAD of a poll": await ann.poll("since=0", { method: "HEAD" }),
      leave: await ann.ask("leave/ann", { method: "POST" }),
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
    faulty.log.length = 0;
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
  test("is 400, closes the connection and changes nothing", async () => {
    const { url, chat } = await start();
    const ann = await Person.login(url, "ann");
    const { port } = new URL(url);
    const lines = [`Cookie: ${ann.cookie}`, FORM_LINE, "Content-Length: 9"];
    for (const hosts of [
      ["Host: x", "Host: x"],
      ["Host: x", "hOST: evil.test"],
      ["Host:", "Host: x"],
    ]) {
      const post = ["POST /put_post/ann HTTP/1.1", ...hosts, ...lines, "", "message=x"].join("\r\n");
      const { statuses, text } = await hear(Number(port), post + post);
      expect([hosts, statuses]).toEqual([hosts, [400]]);
      expect(text).toContain('"bad_request"');
    }
    expect((await ann.batch("since=0&wait=0")).messages.filter(({ kind }) => !kind)).toEqual([]);
    expect(chat.waiting).toBe(0);
  });

  test("belongs to the host for a path outside the chat", async () => {
    const { chat } = await start({ path: "/chat" });
    const host = createServer((req, res) => chat.handler(req, res, () => res.end("the host's")));
    await once(host.listen(0, "127.0.0.1"), "listening");
    const { port } = host.address() as AddressInfo;
    const bytes = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\nHost: y\r\nConnection: close\r\n\r\n`;
    expect((await hear(port, bytes("/chat/who"))).statuses).toEqual([400]);
    expect((await hear(port, bytes("/elsewhere"))).text).toContain("the host's");
    host.close();
  });

  test("differs from HTTP/1.0 without a Host header", async () => {
    const server = await startServer();
    const zero = "GET /healthz HTTP/1.0\r\n";
    expect((await hear(server.port, `${zero}\r\n`)).statuses).toEqual([200]);
    expect((await hear(server.port, `${zero}Host: x\r\nHost: x\r\n\r\n`)).statuses).toEqual([400]);
    await server.stop();
  });
});

const FORM_LINE = `Content-Type: ${FORM["Content-Type"]}`;

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
    const reply = await ask(`${url}/${action}`, {
      method: "POST",
      headers: { ...FORM, ...ANY },
      body: "name=Ann+B",
    });
    expect([reply.status, reply.headers.location]).toEqual([303, "chatroom/Ann%20B/"]);
    const Cookie = `${reply.headers["set-cookie"]?.[0]?.split(";")[0]}`;
    const forms = actions(await ask(`${url}/chatroom/Ann%20B/`, { headers: { Cookie } }));
    expect(forms).toEqual(["logout?page", "put_post/Ann%20B?page"]);
    const post = (path: string) =>
      ask(`${url}/${path}`, { method: "POST", headers: { ...FORM, ...ANY, Cookie }, body: "message=x" });
    const said = await post(forms[1] ?? "");
    expect([said.status, said.headers.location]).toEqual([303, "../chatroom/Ann%20B/"]);
    expect((await post(forms[0] ?? "")).headers.location).toBe("login");
  });

  test("gets a page with the reason when it is refused", async () => {
    const { url } = await start({ loginRate: 1, postRate: 0.5 });
    vi.useFakeTimers({ toFake: ["performance"] });
    const ann = await Person.login(url, "ann");
    const post = (path: string, body: string, headers: Record<string, string> = {}) =>
      ask(`${url}/${path}`, { method: "POST", headers: { ...FORM, ...ANY, ...headers }, body });
    const mine = { Cookie: ann.cookie };
    const replies = [
      await post("login?page", "name=ann"),
      await post("login?page", "name=a/b"),
      await post("login?page", "name=x"),
      await post("login?page", "name=y"),
      await post("login?page", "name=z", { "Sec-Fetch-Site": "cross-site" }),
      await post("logout?page", "", { "Sec-Fetch-Site": "cross-site" }),
      await post("put_post/ann?page", "message=x"),
      await post("put_post/bob?page", "message=x", mine),
      await post("put_post/ann?page", "message=x", { ...mine, "Content-Type": "text/plain" }),
      await post("put_post/ann?page", "message=", mine),
      await post("put_post/ann?page", "message=x", mine),
      await ask(`${url}/nothing?page`, { headers: ANY }),
      await ask(`${url}/get_post/ann?page&since=0`, { headers: { Accept: "application/json" } }),
    ];
    expect(replies.map(({ status }) => status)).toEqual([
      409, 422, 303, 429, 403, 403, 401, 403, 415, 422, 429, 404, 401,
    ]);
    for (const reply of replies)
      expect([reply.status, reply.status === 303 || isPage(reply)]).toEqual([reply.status, true]);
    vi.useRealTimers();
  });

  test("differs from a script, which gets JSON", async () => {
    const { url } = await start();
    const { headers } = await ask(`${url}/put_post/ann?pages`, { method: "POST", headers: ANY });
    expect(headers["content-type"]).toBe("application/json");
  });
});
