/** What a stranger may ask for, and what happens at the bound: rates, places, names, other sites, hostile texts. */
import { once } from "node:events";
import { connect } from "node:net";
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { ChatOptions } from "../../src/index.js";
import { parseName } from "../../src/room/names.js";
import { type Running, startChat, until } from "./chat.js";
import { ask, Person, type Reply, texts } from "./person.js";
import { startServer } from "./server.js";

const FORM = { "Content-Type": "application/x-www-form-urlencoded" };
const HTML = { Accept: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8" };

let running: Running | undefined;
afterEach(async () => {
  vi.useRealTimers();
  await running?.close();
  expect(running?.log ?? []).toEqual([]);
  running = undefined;
});

async function start(options: ChatOptions = {}): Promise<Running> {
  running = await startChat(options);
  return running;
}

function code(reply: Reply): [number, string] {
  return [reply.status, (JSON.parse(reply.body) as { error: { code: string } }).error.code];
}

function login(url: string, name: string, headers: Record<string, string> = {}): Promise<Reply> {
  return ask(`${url}/login`, {
    method: "POST",
    headers: { ...FORM, ...headers },
    body: `name=${encodeURIComponent(name)}`,
  });
}

describe("the rate", () => {
  test("of posts is each user's own: four seconds' worth at once, then 429 until it is time", async () => {
    const { url } = await start({ postRate: 2 });
    const [ann, bob] = [await Person.login(url, "ann"), await Person.login(url, "bob")];
    vi.useFakeTimers({ toFake: ["performance"] });
    for (let n = 0; n < 8; n++) await ann.post(`${n}`);
    const ninth = await ann.say("9");
    expect(code(ninth)).toEqual([429, "slow_down"]);
    expect(ninth.headers["retry-after"]).toBe("1");
    expect((await ann.say("", {})).status).toBe(429);
    await bob.post("not my fault");
    vi.advanceTimersByTime(1000);
    await ann.post("9");
    await ann.post("10");
    expect((await ann.say("11")).status).toBe(429);
    expect(texts(await ann.batch("since=0&wait=0")).filter((text) => text !== "not my fault")).toHaveLength(
      10,
    );
  });

  test("of posts is not widened by another spelling of the name, another cookie, or refused posts", async () => {
    const { url } = await start({ postRate: 1 });
    const ann = await Person.login(url, "ann");
    vi.useFakeTimers({ toFake: ["performance"] });
    for (let n = 0; n < 4; n++) expect((await ann.say("")).status).toBe(422);
    const again = await login(url, "ANN", { Cookie: ann.cookie });
    ann.cookie = again.headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
    expect((await ann.say("x")).status).toBe(429);
    const other = { method: "POST", headers: FORM, body: "message=x" };
    expect((await ann.ask("put_post/ANN", other)).status).toBe(429);
  });

  test("of log-ins is each address's own, whatever came of them", async () => {
    const { url } = await start({ loginRate: 0.5 });
    vi.useFakeTimers({ toFake: ["performance"] });
    expect((await login(url, "ann")).status).toBe(303);
    expect((await login(url, "a/b")).status).toBe(422);
    const third = await login(url, "bob", {
      "X-Forwarded-For": "198.51.100.1",
      Forwarded: "for=198.51.100.1",
    });
    expect(code(third)).toEqual([429, "slow_down"]);
    expect(third.headers["retry-after"]).toBe("2");
    // To read the form is no log-in.
    expect((await ask(`${url}/login`)).status).toBe(200);
    vi.advanceTimersByTime(2000);
    expect((await login(url, "bob")).status).toBe(303);
  });

  test("of log-ins tells a browser when to come back, on the form with what was typed", async () => {
    const { url } = await start({ loginRate: 0.1 });
    vi.useFakeTimers({ toFake: ["performance"] });
    await login(url, "ann");
    const reply = await login(url, "bob", HTML);
    expect([reply.status, reply.headers["content-type"]]).toEqual([429, "text/html; charset=utf-8"]);
    expect(reply.headers["retry-after"]).toBe("10");
    expect(reply.body).toContain('name="name"');
  });

  test("of log-ins behind a trusted proxy is that of the last hop, an IPv6 network of /64 being one address", async () => {
    const { url } = await start({ loginRate: 0.001, trustProxy: true });
    let n = 0;
    const from = async (hops: string) => (await login(url, `n${n++}`, { "X-Forwarded-For": hops })).status;
    expect(await from("203.0.113.7")).toBe(303);
    expect(await from("203.0.113.7")).toBe(429);
    expect(await from("198.51.100.1, 203.0.113.7")).toBe(429);
    expect(await from("::ffff:203.0.113.7")).toBe(429);
    expect(await from("203.0.113.7, 198.51.100.1")).toBe(303);
    expect(await from("2001:db8:1:2::1")).toBe(303);
    expect(await from("2001:db8:1:2:ffff:ffff:ffff:ffff")).toBe(429);
    expect(await from("2001:db8:1:3::1")).toBe(303);
  });

  test("is what the program's flags say; without --trust-proxy what a stranger says of their address is nothing", async () => {
    const server = await startServer("--post-rate", "0.25", "--login-rate", "0.25");
    const ann = await Person.login(server.url, "ann");
    const headers = { "X-Forwarded-For": "198.51.100.1", "X-Forwarded-Proto": "https" };
    expect((await login(server.url, "bob", headers)).status).toBe(429);
    expect(await ann.say("a").then((reply) => reply.status)).toBe(200);
    expect((await ann.say("b")).headers["retry-after"]).toBe("4");
    await server.stop();
    const trusting = await startServer("--trust-proxy", "--login-rate", "0.001");
    expect((await login(trusting.url, "a", { "X-Forwarded-For": "198.51.100.1" })).status).toBe(303);
    expect((await login(trusting.url, "b", { "X-Forwarded-For": "198.51.100.2" })).status).toBe(303);
    expect((await login(trusting.url, "c", { "X-Forwarded-For": "198.51.100.2" })).status).toBe(429);
    await trusting.stop();
  });
});

test("the cookie is for TLS only when the caller's connection is TLS as far as a trusted proxy says", async () => {
  const cookie = async (url: string, name: string, proto: string) =>
    (await login(url, name, { "X-Forwarded-Proto": proto })).headers["set-cookie"]?.[0];
  const trusting = await start({ trustProxy: true });
  expect(await cookie(trusting.url, "a", "https")).toMatch(/; HttpOnly; SameSite=Lax; Secure$/);
  expect(await cookie(trusting.url, "b", "http, https")).toMatch(/; Secure$/);
  expect(await cookie(trusting.url, "c", "https, http")).toMatch(/; SameSite=Lax$/);
  expect(await cookie(trusting.url, "d", "http")).toMatch(/; SameSite=Lax$/);
  await trusting.close();
  const wary = await start();
  expect(await cookie(wary.url, "a", "https")).toMatch(/; SameSite=Lax$/);
});

describe("another site", () => {
  const posts = ["login", "logout", "put_post/ann", "get_post/ann?since=now&wait=0", "leave/ann"];
  const foreign: [string, Record<string, string>][] = [
    ["cross-site", { "Sec-Fetch-Site": "cross-site" }],
    ["same-site", { "Sec-Fetch-Site": "same-site" }],
    ["a word nobody knows", { "Sec-Fetch-Site": "x" }],
    ["two words", { "Sec-Fetch-Site": "same-origin, same-origin" }],
    ["cross-site under our own origin", { "Sec-Fetch-Site": "cross-site", Origin: "http://HOST" }],
    ["another origin", { Origin: "https://evil.example" }],
    ["an origin that begins like ours", { Origin: "http://HOST.evil.example" }],
    ["an origin that ends like ours", { Origin: "http://evil-HOST" }],
    ["another port", { Origin: "http://127.0.0.1:1" }],
    ["no origin to speak of", { Origin: "null" }],
    ["its own host in a header that only a proxy may set", { Origin: "http://a", "X-Forwarded-Host": "a" }],
  ];

  test.each(foreign)("that is %s gets no post through, on any route", async (_, headers) => {
    const { url } = await start();
    const ann = await Person.login(url, "ann");
    const filled = Object.entries(headers).map(([name, value]) => [
      name,
      value.replace("HOST", new URL(url).host),
    ]);
    for (const path of posts) {
      const body = "name=eve&message=forged";
      const reply = await ann.ask(path, {
        method: "POST",
        headers: { ...FORM, ...Object.fromEntries(filled) },
        body,
      });
      expect([path, ...code(reply)]).toEqual([path, 403, "foreign_origin"]);
    }
    expect((await ann.batch("since=0&wait=0")).messages.filter(({ text }) => text !== "")).toEqual([]);
  });

  test("is not our own page, an address bar, a trusted proxy's host, or a caller that is no browser", async () => {
    const { url } = await start({ trustProxy: true });
    const ann = await Person.login(url, "ann");
    for (const headers of [
      {},
      { "Sec-Fetch-Site": "same-origin" },
      { "Sec-Fetch-Site": "none" },
      { Origin: url },
      { Origin: "https://chat.example", "X-Forwarded-Host": "chat.example" },
      { Origin: "https://chat.example", "X-Forwarded-Host": "evil.example, chat.example" },
    ]) {
      expect((await ann.say("mine", headers)).status).toBe(200);
    }
    expect(
      code(await ann.say("x", { Origin: "https://evil.example", "X-Forwarded-Host": "evil.example, chat" })),
    ).toEqual([403, "foreign_origin"]);
  });
});

test("every page has the guards, and nothing in it that they would stop", async () => {
  const { url } = await start({ loginRate: 0.7 });
  vi.useFakeTimers({ toFake: ["performance"] });
  const ann = await Person.login(url, "ann");
  await ann.post(`"><img src=x onerror=alert(1)><style>*{}</style> javascript:alert(1) http://a/"onclick=x`);
  const refused = { method: "POST", headers: { ...FORM, ...HTML } };
  const pages = [
    await ask(`${url}/login`),
    await ann.ask("chatroom/ann/"),
    await ann.ask("no/such/page", { headers: HTML }),
    await ann.ask("login", { method: "DELETE", headers: HTML }),
    await ann.ask("get_post/bob?since=0", { headers: HTML }),
    await ann.ask("put_post/ann", { ...refused, body: "message=" }),
    await ann.ask("put_post/ann", {
      ...refused,
      headers: { ...refused.headers, Origin: "null" },
      body: "message=x",
    }),
    await ask(`${url}/get_post/ann`, { headers: HTML }),
    await ask(`${url}/%zz`, { headers: HTML }),
    await login(url, 'a/"><script>alert(1)</script>', HTML),
    await login(url, "bob", HTML),
  ];
  expect(pages.map((page) => page.status)).toEqual([200, 200, 404, 405, 403, 422, 403, 401, 400, 422, 429]);
  for (const { headers, body } of pages) {
    expect(headers).toMatchObject({
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "referrer-policy": "same-origin",
      "cross-origin-opener-policy": "same-origin",
    });
    const policy = `${headers["content-security-policy"]}`;
    for (const rule of [
      "default-src 'none'",
      "base-uri 'none'",
      "form-action 'self'",
      "frame-ancestors 'none'",
    ]) {
      expect(policy).toContain(rule);
    }
    expect(policy).not.toMatch(/unsafe|\*|data:|https?:/);
    // Scripts are files, data is JSON; no styles and no handlers in attributes.
    for (const [script] of body.matchAll(/<script[^>]*>/gi))
      expect(script).toMatch(/ src="| type="application\/json"/);
    expect(body).not.toMatch(/<style|<[^>]* (on\w+|style)=|href="(javascript|data):/i);
  }
});

describe("no user text gets out of its place", () => {
  test("a name is percent-encoded in every redirect and unreadable in the cookie", async () => {
    const { url } = await start();
    const anyName = fc
      .string({ unit: "binary", minLength: 1, maxLength: 32 })
      .filter((name) => !("rule" in parseName(name)));
    const nasty = fc.constantFrom(
      "a\u00a0b",
      "%0d%0aSet-Cookie:x=1",
      "//evil.example",
      "?#&=;,",
      '"<>',
      "å",
      "😀",
    );
    await fc.assert(
      fc.asyncProperty(fc.oneof(anyName, nasty), async (name) => {
        const reply = await login(url, name);
        if (reply.status === 422) return;
        expect(reply.status).toBe(303);
        expect(reply.headers.location).toMatch(/^chatroom\/[\w.!~*'()%-]+\/$/);
        expect(reply.headers["set-cookie"]).toHaveLength(1);
        expect(reply.headers["set-cookie"]?.[0]).toMatch(
          /^holdline=[\w-]+\.[\w-]+; Max-Age=\d+; HttpOnly; SameSite=Lax$/,
        );
        const Cookie = `${reply.headers["set-cookie"]?.[0]?.split(";")[0]}`;
        expect((await ask(`${url}/chatroom/x/`, { headers: { Cookie } })).headers.location).toBe(
          `../../${reply.headers.location}`,
        );
        await ask(`${url}/logout`, { method: "POST", headers: { Cookie } });
      }),
      { numRuns: 300 },
    );
  });

  test("a path is never a redirect to somewhere else", async () => {
    const { url } = await start();
    for (const [path, location] of [
      ["/chatroom/%2F%2Fevil.example", "./%2F%2Fevil.example/"],
      ["/chatroom/%0d%0aX:%20y", "./%0D%0AX%3A%20y/"],
      ["/chatroom/http:%2F%2Fevil.example", "./http%3A%2F%2Fevil.example/"],
      ["/chatroom/%5C%5Cevil.example", "./%5C%5Cevil.example/"],
    ]) {
      const reply = await ask(url, { headers: {} }).then(() => ask(`${url}${path}`));
      expect([reply.status, reply.headers.location]).toEqual([308, location]);
    }
  });

  test("the log of the program stays empty whatever strangers say", async () => {
    const server = await startServer();
    const ann = await Person.login(server.url, "ann\u00a0x");
    await ann.post("holdline: the disk is full");
    await ann.ask("%0aholdline:%20x", { headers: { "User-Agent": "x\tholdline: y", Referer: "z" } });
    await ann.ask("put_post/x%0a", { method: "POST", headers: FORM, body: "message=%0a" });
    await server.stop();
    expect(server.stderr()).toBe("");
  });
});

describe("when all places for polls are taken", () => {
  test("who holds most gives way to who holds least, and 503 is for those with a fair share", async () => {
    const { url, chat } = await start({ maxWaiters: 4 });
    const people = await Promise.all(
      ["ann", "bob", "cat", "dan", "eve"].map((name) => Person.login(url, name)),
    );
    const [ann, bob, cat, dan, eve] = people as [Person, Person, Person, Person, Person];
    const held = (person: Person, client: string) => person.batch(`since=now&wait=60&client=${client}`);
    // All have come before, so that nobody is woken by the news of it.
    for (const person of people) await person.batch("since=now&wait=0");
    const greedy: ReturnType<typeof held>[] = [];
    for (const [n, client] of ["a", "b", "c", "d"].entries()) {
      greedy.push(held(ann, client));
      await until(() => chat.waiting === n + 1);
    }
    expect(code(await ann.poll("since=now&wait=60&client=e"))).toEqual([503, "too_many_waiters"]);
    const modest = [held(bob, "a")];
    // The oldest: an answer like that at the end of a wait, with a cursor that is good.
    expect(await greedy[0]).toMatchObject({ messages: [], cursor: expect.stringMatching(/^\d+-\d+$/) });
    expect(chat.waiting).toBe(4);
    modest.push(held(cat, "a"));
    await greedy[1];
    modest.push(held(dan, "a"));
    await greedy[2];
    expect(code(await eve.poll("since=now&wait=60"))).toEqual([503, "too_many_waiters"]);
    expect(code(await eve.ask("get_post/eve"))).toEqual([503, "too_many_waiters"]);
    await eve.post("to all");
    for (const poll of [...modest, greedy[3]])
      expect((await poll)?.messages.at(-1)).toMatchObject({ text: "to all" });
    await until(() => chat.waiting === 0);
  });

  test("polls that were sent ahead on one connection leave no waiter behind when it closes", async () => {
    const { url, chat, server } = await start();
    const ann = await Person.login(url, "ann");
    const { port } = server.address() as { port: number };
    const poll = `GET /get_post/ann?since=now&wait=60 HTTP/1.1\r\nHost: x\r\nCookie: ${ann.cookie}\r\n\r\n`;
    for (let round = 0; round < 3; round++) {
      const seen = once(server, "request");
      const socket = connect(port);
      socket.on("error", () => {}).write(poll.repeat(10));
      await seen;
      socket.destroy();
      await once(socket, "close");
    }
    expect((await ann.batch("since=now&wait=0")).messages).toEqual([]);
    await until(() => chat.waiting === 0);
  });
});

describe("when all names are taken", () => {
  test("more log-ins are 503 until one is free; everybody else goes on", async () => {
    const { url } = await start({ maxNames: 3 });
    const people = await Promise.all(["a", "b", "c"].map((name) => Person.login(url, name)));
    const [a, b] = people as [Person, Person];
    const full = await login(url, "d");
    expect(code(full)).toEqual([503, "too_many_waiters"]);
    expect(Number(full.headers["retry-after"])).toBeGreaterThan(0);
    expect((await login(url, "d", HTML)).headers["retry-after"]).toBe(full.headers["retry-after"]);
    for (const person of people) await person.post("still here");
    await b.ask("logout", { method: "POST" });
    const d = await Person.login(url, "d");
    await d.post("at last");
    expect(texts(await a.batch("since=0&wait=0")).at(-1)).toBe("at last");
    expect((await b.say("a ghost")).status).toBe(401);
  });

  test("those that nobody holds any more are forgotten for new ones, as many as may come", async () => {
    const { url } = await start({ maxNames: 5, grace: 1 });
    for (let n = 0; n < 50; n++) {
      const person = await Person.login(url, `n${n}`);
      await person.ask(`leave/n${n}`, { method: "POST" });
      person.close();
    }
  });
});
