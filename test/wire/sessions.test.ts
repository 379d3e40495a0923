/** Sessions over the wire: whose cookie is good for what, until when, and under which secret. */
import { createHmac } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { sign } from "../../src/http/session.js";
import type { ChatOptions } from "../../src/index.js";
import { MemoryStore } from "../../src/store/memory.js";
import { type Running, startChat } from "./chat.js";
import { ask, Person, type Reply, texts } from "./person.js";

const FORM = { "Content-Type": "application/x-www-form-urlencoded" };
const DAY = 24 * 3600 * 1000;
const chats: Running[] = [];

async function start(options: ChatOptions = {}): Promise<Running> {
  const running = await startChat(options);
  chats.push(running);
  return running;
}

afterEach(async () => {
  vi.useRealTimers();
  for (const { close, log } of chats.splice(0)) {
    await close();
    expect(log).toEqual([]);
  }
});

/** Every route that speaks for a person. */
const ROUTES: [method: string, path: string, body?: string][] = [
  ["POST", "put_post/ann", "message=forged"],
  ["GET", "get_post/ann?since=0&wait=0"],
  ["HEAD", "get_post/ann?since=0&wait=0"],
  ["GET", "get_post/ann"],
  ["POST", "get_post/ann", "since=0&wait=0"],
  ["POST", "leave/ann"],
];

function call(url: string, [method, path, body]: (typeof ROUTES)[number], cookie: string): Promise<Reply> {
  const headers = { ...(body && FORM), ...(cookie && { Cookie: cookie }) };
  return ask(`${url}/${path}`, { method, headers, ...(body && { body }) });
}

/** Status and code of the reply; HEAD has no code to read. */
async function outcome(url: string, route: (typeof ROUTES)[number], cookie: string): Promise<string> {
  const { status, body } = await call(url, route, cookie);
  const { error } = body.startsWith("{") ? (JSON.parse(body) as { error?: { code: string } }) : {};
  return error ? `${status} ${error.code}` : `${status}`;
}

describe("no one reads or posts as another", () => {
  let url: string;
  let ann: Person;
  beforeEach(async () => {
    url = (await start({ secrets: ["new", "old"] })).url;
    ann = await Person.login(url, "ann");
    await ann.post("ann's own");
  });

  function untouched(): Promise<void> {
    return ann.batch("since=0&wait=0").then((batch) => expect(texts(batch)).toEqual(["ann's own"]));
  }

  test("without a cookie", async () => {
    for (const route of ROUTES) {
      expect(await outcome(url, route, "")).toBe(route[0] === "HEAD" ? "401" : "401 no_session");
    }
    await untouched();
  });

  test("with another's cookie, who is told so, also when their name only looks like it", async () => {
    for (const name of ["eve", "аnn", "ann2", "an n"]) {
      const eve = await Person.login(url, name);
      for (const route of ROUTES) {
        expect(await outcome(url, route, eve.cookie)).toBe(route[0] === "HEAD" ? "403" : "403 not_you");
      }
    }
    await untouched();
  });

  test("with a forged cookie, however it is made", async () => {
    const eve = await Person.login(url, "eve");
    const [annPayload = "", annMac = ""] = ann.cookie.slice("holdline=".length).split(".");
    const [evePayload = "", eveMac = ""] = eve.cookie.slice("holdline=".length).split(".");
    const text = Buffer.from(annPayload, "base64url").toString();
    const encode = (value: string) => Buffer.from(value).toString("base64url");
    const forged = [
      `${annPayload}.${eveMac}`,
      `${evePayload}.${annMac}`,
      `${encode(Buffer.from(evePayload, "base64url").toString().replace("eve", "ann"))}.${eveMac}`,
      `${annPayload}.`,
      `.${annMac}`,
      annPayload,
      `${annPayload}.${annMac.slice(0, -1)}`,
      `${annPayload.slice(0, -1)}.${annMac}`,
      `${annPayload}.${annMac.slice(0, 21)}`,
      `${annPayload}.${annMac}.${annMac}`,
      `"${annPayload}.${annMac}`,
      sign(text, "another secret"),
      sign(text, ""),
      `${annPayload}.${createHmac("sha1", "new").update(annPayload).digest("base64url")}`,
      `${annPayload}.${createHmac("sha256", "new").update(text).digest("base64url")}`,
      "undefined",
      "__proto__",
      "x".repeat(8000),
      `${"x".repeat(4000)}.${annMac}`,
    ];
    for (const value of forged) {
      for (const route of ROUTES) {
        const expected = route[0] === "HEAD" ? "401" : "401 no_session";
        expect([value, await outcome(url, route, `holdline=${value}`)]).toEqual([value, expected]);
      }
      const Cookie = `holdline=${value}`;
      expect((await ask(`${url}/`, { headers: { Cookie } })).headers.location).toBe("login");
      expect((await ask(`${url}/chatroom/ann/`, { headers: { Cookie } })).headers.location).toBe(
        "../../login",
      );
      // It ends nobody's session.
      await ask(`${url}/logout`, { method: "POST", headers: { Cookie } });
      expect(
        (await ask(`${url}/login`, { method: "POST", headers: { ...FORM, Cookie }, body: "name=ann" }))
          .status,
      ).toBe(409);
    }
    await untouched();
  });

  test("by a second cookie beside a good one: the first counts", async () => {
    const eve = await Person.login(url, "eve");
    const read: (typeof ROUTES)[number] = ["GET", "get_post/ann?since=0&wait=0"];
    expect(await outcome(url, read, `${eve.cookie}; ${ann.cookie}`)).toBe("403 not_you");
    expect(await outcome(url, read, `holdline=x; ${ann.cookie}`)).toBe("401 no_session");
    expect(await outcome(url, read, `${ann.cookie}; ${eve.cookie}`)).toBe("200");
    expect(await outcome(url, read, `xholdline=1; Holdline=2; holdline2=3; a; =; ${ann.cookie}`)).toBe("200");
  });

  test("of two who race for one name with posts right behind, the one who got it", async () => {
    const racers = await Promise.allSettled(Array.from({ length: 10 }, () => Person.login(url, "race")));
    const winners = racers.flatMap((racer) => (racer.status === "fulfilled" ? [racer.value] : []));
    expect(winners).toHaveLength(1);
    await winners[0]?.post("I won");
  });

  test("whose cookie is of an earlier log-in under the same name", async () => {
    const first = await Person.login(url, "zoe");
    await first.ask("leave/zoe", { method: "POST" });
    const second = await Person.login(url, "ZOE");
    expect((await first.say("still me?")).status).toBe(401);
    await second.post("no");
    expect(texts(await second.batch("since=0&wait=0"))).toEqual(["ann's own", "no"]);
  });
});

describe("a session ends", () => {
  test("thirty days after its cookie was signed, unless it was renewed", async () => {
    const { url } = await start();
    const ann = await Person.login(url, "ann");
    vi.useFakeTimers({ toFake: ["Date"] });
    vi.setSystemTime(Date.now() + 30 * DAY - 60_000);
    expect((await ann.poll("since=now&wait=0")).status).toBe(200);
    const renewed = (await ann.ask("who")).headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
    vi.setSystemTime(Date.now() + 120_000);
    expect((await ann.poll("since=now&wait=0")).status).toBe(401);
    ann.cookie = renewed;
    expect((await ann.poll("since=now&wait=0")).status).toBe(200);
  });

  test("for all its cookies when it is logged out", async () => {
    const { url } = await start();
    const ann = await Person.login(url, "ann");
    vi.useFakeTimers({ toFake: ["Date"] });
    vi.setSystemTime(Date.now() + 2 * DAY);
    const old = ann.cookie;
    ann.cookie = (await ann.ask("who")).headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
    expect(ann.cookie).not.toBe(old);
    await ann.ask("logout", { method: "POST" });
    for (const cookie of [old, ann.cookie]) {
      ann.cookie = cookie;
      expect((await ann.say("ghost")).status).toBe(401);
    }
  });
});

describe("a cookie is renewed", () => {
  test("on / and /who once it is a day old, for thirty days more, as the same session", async () => {
    const { url } = await start({ trustProxy: true });
    const ann = await Person.login(url, "ann");
    vi.useFakeTimers({ toFake: ["Date"] });
    vi.setSystemTime(Date.now() + DAY - 60_000);
    for (const path of ["", "who"]) expect((await ann.ask(path)).headers["set-cookie"]).toBeUndefined();
    vi.setSystemTime(Date.now() + 120_000);
    for (const path of ["", "who"]) {
      const [cookie = ""] = (await ann.ask(path)).headers["set-cookie"] ?? [];
      expect(cookie).toMatch(/^holdline=[\w.-]+; Max-Age=2592000; HttpOnly; SameSite=Lax$/);
      const [secure] =
        (await ann.ask(path, { headers: { "X-Forwarded-Proto": "https" } })).headers["set-cookie"] ?? [];
      expect(secure).toMatch(/; Secure$/);
      const headers = { Cookie: cookie.split(";")[0] ?? "" };
      expect((await ann.say("still me", headers)).status).toBe(200);
      expect((await ann.ask(path, { headers })).headers["set-cookie"]).toBeUndefined();
    }
  });

  test("nowhere else, since there it would belong to another folder", async () => {
    const { url } = await start();
    const ann = await Person.login(url, "ann");
    vi.useFakeTimers({ toFake: ["Date"] });
    vi.setSystemTime(Date.now() + 2 * DAY);
    for (const path of ["chatroom/ann/", "get_post/ann?since=0&wait=0", "login", "healthz", "chat.css"]) {
      expect([path, (await ann.ask(path)).headers["set-cookie"]]).toEqual([path, undefined]);
    }
  });

  test("for nobody without a good one", async () => {
    const { url } = await start();
    vi.useFakeTimers({ toFake: ["Date"] });
    const ann = await Person.login(url, "ann");
    vi.setSystemTime(Date.now() + 31 * DAY);
    for (const path of ["", "who"]) expect((await ann.ask(path)).headers["set-cookie"]).toBeUndefined();
    expect((await ask(`${url}/who`)).headers["set-cookie"]).toBeUndefined();
  });
});

describe("secrets", () => {
  test("are rotated: the first signs, all are good, one that was taken out is not", async () => {
    const before = await start({ secrets: ["first"] });
    const ann = await Person.login(before.url, "ann");
    const during = await start({ secrets: ["second", Buffer.from("first")] });
    expect((await ask(`${during.url}/`, { headers: { Cookie: ann.cookie } })).headers.location).toBe(
      "chatroom/ann/",
    );
    vi.useFakeTimers({ toFake: ["Date"] });
    vi.setSystemTime(Date.now() + 2 * DAY);
    const renewed = (await ask(`${during.url}/who`, { headers: { Cookie: ann.cookie } })).headers[
      "set-cookie"
    ]?.[0];
    const after = await start({ secrets: ["second"] });
    const home = async (cookie: string) =>
      (await ask(`${after.url}/`, { headers: { Cookie: cookie } })).headers.location;
    expect(await home(ann.cookie)).toBe("login");
    expect(await home(renewed?.split(";")[0] ?? "")).toBe("chatroom/ann/");
  });

  test("of one's own are another for every chat that is not given any", async () => {
    const ann = await Person.login((await start()).url, "ann");
    const { url } = await start();
    expect((await ask(`${url}/`, { headers: { Cookie: ann.cookie } })).headers.location).toBe("login");
  });

  test("that sign something else than a session make no session of it, and no fault of ours", async () => {
    const { url } = await start({ secrets: ["shared"] });
    const strange = [
      "hello",
      "",
      "{",
      "null",
      "1",
      "{}",
      "[]",
      '["ann"]',
      '["ann",1,2,3]',
      '["ann","x","1",2]',
      '[["ann"],"x",1,2]',
    ];
    for (const text of strange) {
      const Cookie = `holdline=${sign(text, "shared")}`;
      expect([text, await outcome(url, ["GET", "get_post/ann?since=0"], Cookie)]).toEqual([
        text,
        "401 no_session",
      ]);
    }
  });
});

test("after a restart a good cookie takes its name up again, and of two for one name the newer log-in has it", async () => {
  const secrets: ChatOptions["secrets"] = ["kept"];
  const before = await start({ secrets, grace: 1, store: new MemoryStore(10) });
  const older = await Person.login(before.url, "ann");
  await older.ask("leave/ann", { method: "POST" });
  const newer = await Person.login(before.url, "ann");
  const { url } = await start({ secrets });
  const poll = async (cookie: string) =>
    (await ask(`${url}/get_post/ann?since=now&wait=0`, { headers: { Cookie: cookie } })).status;
  expect(await poll(older.cookie)).toBe(200);
  expect(await poll(newer.cookie)).toBe(200);
  expect(await poll(older.cookie)).toBe(401);
});
