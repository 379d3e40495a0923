/** Sessions over the wire: lifetime and renewal of cookies, and secrets. */
import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type ChatOptions, MemoryStore } from "../../src/index.js";
import { chatPerTest } from "./chat.js";
import { ask, login, Person, type Reply } from "./person.js";
import { sign } from "./sign.js";

const DAY = 24 * 3600 * 1000;

const start = chatPerTest();
afterEach(() => {
  vi.useRealTimers();
});

describe("a session ends", () => {
  test("thirty days after its cookie was signed, unless the cookie is renewed", async () => {
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

  test("for all its cookies at the log-out", async () => {
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
  test("on / and /who after a day, for thirty more days, in the same session", async () => {
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

  test("on no other path, because the cookie's Path would differ", async () => {
    const { url } = await start();
    const ann = await Person.login(url, "ann");
    vi.useFakeTimers({ toFake: ["Date"] });
    vi.setSystemTime(Date.now() + 2 * DAY);
    for (const path of ["chatroom/ann/", "get_post/ann?since=0&wait=0", "login", "healthz", "chat.css"]) {
      const cookies = (await ann.ask(path)).headers["set-cookie"] ?? [];
      // The log-in page sets the check cookie.
      expect([path, cookies.filter((cookie) => !cookie.startsWith("holdline-check="))]).toEqual([path, []]);
    }
  });

  test("only if it is valid", async () => {
    const { url } = await start();
    vi.useFakeTimers({ toFake: ["Date"] });
    const ann = await Person.login(url, "ann");
    vi.setSystemTime(Date.now() + 31 * DAY);
    for (const path of ["", "who"]) expect((await ann.ask(path)).headers["set-cookie"]).toBeUndefined();
    expect((await ask(`${url}/who`)).headers["set-cookie"]).toBeUndefined();
  });
});

describe("two servers on one host", () => {
  /** The cookies of a browser, which separates them by name and not by port. */
  class Jar {
    readonly #cookies = new Map<string, string>();

    take({ headers }: Reply): void {
      for (const cookie of headers["set-cookie"] ?? []) {
        const [, name = "", value = "", age = ""] = /^([^=]+)=([^;]*); Max-Age=(\d+)/.exec(cookie) ?? [];
        if (age === "0") this.#cookies.delete(name);
        else this.#cookies.set(name, value);
      }
    }

    get Cookie(): string {
      return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    }
  }

  const home = async (url: string, headers: Record<string, string>) =>
    (await ask(`${url}/`, { headers })).headers.location;

  test("have separate sessions in one browser, and a log-out of one keeps the other", async () => {
    const [one, other] = [await start(), await start()];
    const jar = new Jar();
    const sent = (url: string) => ({ Cookie: jar.Cookie, Host: new URL(url).host });
    jar.take(await login(one.url, "ann", sent(one.url)));
    jar.take(await login(other.url, "bob", sent(other.url)));
    expect(await home(one.url, sent(one.url))).toBe("chatroom/ann/");
    expect(await home(other.url, sent(other.url))).toBe("chatroom/bob/");
    jar.take(await ask(`${one.url}/logout`, { method: "POST", headers: sent(one.url) }));
    expect(await home(one.url, sent(one.url))).toBe("login");
    expect(await home(other.url, sent(other.url))).toBe("chatroom/bob/");
  });

  test.each([
    ["chat.test:5000", "holdline_5000"],
    ["[::1]:5000", "holdline_5000"],
    ["chat.test", "holdline"],
    ["chat.test:80", "holdline"],
    ["chat.test:443", "holdline"],
    ["[::1]", "holdline"],
    ["chat.test:x", "holdline"],
  ])("that callers know as %s call the cookie %s", async (Host, name) => {
    const { url } = await start();
    const [cookie = ""] = (await login(url, "ann", { Host })).headers["set-cookie"] ?? [];
    expect(cookie.split("=")[0]).toBe(name);
    const Cookie = `${cookie.split(";")[0]}`;
    expect(await home(url, { Host, Cookie })).toBe("chatroom/ann/");
    expect(await home(url, { Host: "chat.test:1", Cookie })).toBe("login");
  });

  test("behind a trusted proxy use the forwarded port, and otherwise the port of Host", async () => {
    const proxied = { Host: "10.0.0.1:5000", "X-Forwarded-Host": "a.test:1, chat.test:8443" };
    const nameOf = async (trustProxy: boolean) => {
      const { url } = await start({ trustProxy });
      return (await login(url, "ann", proxied)).headers["set-cookie"]?.[0]?.split("=")[0];
    };
    expect(await nameOf(true)).toBe("holdline_8443");
    expect(await nameOf(false)).toBe("holdline_5000");
  });
});

describe("a valid cookie", () => {
  afterEach(() => {
    vi.restoreAllMocks();
    syncBuiltinESMExports();
  });

  test("is verified once, also with other and forged cookies beside it", async () => {
    const { url } = await start();
    const ann = await Person.login(url, "ann");
    const [name = "", value = ""] = ann.cookie.split("=");
    const status = async (Cookie: string) =>
      (await ann.poll("since=now&wait=0", { headers: { Cookie } })).status;
    expect(await status(ann.cookie)).toBe(200);
    const hmac = vi.spyOn(crypto, "createHmac");
    syncBuiltinESMExports();
    for (const other of ["a=1", "a=2", `b=${"x".repeat(2000)}`]) {
      expect(await status(`${other}; ${ann.cookie}`)).toBe(200);
      expect(await status(`${ann.cookie}; ${other}`)).toBe(200);
    }
    expect(hmac).not.toHaveBeenCalled();
    // Another spelling of the signature would be another entry in the cache.
    for (const spelling of [`${value}!`, `${value}=`, `${value.replace(".", ".!")}`]) {
      expect([spelling, await status(`${name}=${spelling}`)]).toEqual([spelling, 401]);
    }
  });
});

describe("secrets", () => {
  test("rotate: the first signs, all are accepted, and a removed one is not", async () => {
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

  test("are random for each chat without the option", async () => {
    const ann = await Person.login((await start()).url, "ann");
    const { url } = await start();
    expect((await ask(`${url}/`, { headers: { Cookie: ann.cookie } })).headers.location).toBe("login");
  });

  test("that sign other data create neither a session nor an internal error", async () => {
    const { url } = await start({ secrets: ["shared"] });
    const strange = [
      "hello",
      "",
      "null",
      "ann",
      '["ann","x",1,2]',
      "x 1 2",
      "x 1 2 ",
      "x one 2 ann",
      "x 1 two ann",
      " 1 2 ann",
      "form 1 2",
    ];
    for (const text of strange) {
      const Cookie = `holdline=${sign(text, "shared")}`;
      const { status, body } = await ask(`${url}/get_post/ann?since=0`, { headers: { Cookie } });
      expect([text, status, body]).toEqual([text, 401, expect.stringContaining("no_session")]);
    }
  });
});

test("after a restart a valid cookie claims its name again, and the newer of two log-ins wins", async () => {
  const secrets: ChatOptions["secrets"] = ["kept"];
  const before = await start({ secrets, grace: 1, store: new MemoryStore() });
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
