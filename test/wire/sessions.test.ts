/** Sessions over the wire: lifetime and renewal of cookies, and secrets. */
import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import { afterEach, describe, expect, test, vi } from "vitest";
import { chatPerTest, roomPerTest } from "./chat.js";
import { cookieAt, cookieOf, login, Person } from "./person.js";
import { sign } from "./sign.js";

const DAY = 24 * 3600 * 1000;

const [start, startRoom] = [chatPerTest(), roomPerTest()];
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  syncBuiltinESMExports();
});

/** Moves the wall clock of the process. */
function sleep(ms: number): void {
  const now = Date.now();
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.setSystemTime(now + ms);
}

/** Returns where `/` redirects a user to. */
const home = async (person: Person, headers = {}) => (await person.ask("", { headers })).headers.location;

describe("a session ends", () => {
  test("thirty days after its cookie was signed, unless the cookie is renewed", async () => {
    const { ann } = await startRoom();
    sleep(30 * DAY - 60_000);
    expect(await ann.status()).toBe(200);
    const renewed = cookieOf(await ann.ask("who"));
    sleep(120_000);
    expect(await ann.status()).toBe(401);
    for (const path of ["", "who"]) expect(cookieOf(await ann.ask(path))).toBe("");
    ann.cookie = renewed;
    expect(await ann.status()).toBe(200);
  });

  test("for all its cookies at the log-out", async () => {
    const { url, ann } = await startRoom();
    const old = ann.at({ url });
    sleep(2 * DAY);
    ann.cookie = cookieOf(await ann.ask("who"));
    expect(ann.cookie).not.toBe(old.cookie);
    await ann.logout();
    expect([await old.status(), await ann.status()]).toEqual([401, 401]);
  });
});

describe("a cookie is renewed", () => {
  test("on / and /who after a day, for thirty more days, in the same session", async () => {
    const { ann } = await startRoom({ trustProxy: true });
    const renew = async (path: string, headers = {}) =>
      (await ann.ask(path, { headers })).headers["set-cookie"]?.[0];
    sleep(DAY - 60_000);
    for (const path of ["", "who"]) expect(await renew(path)).toBeUndefined();
    sleep(120_000);
    for (const path of ["", "who"]) {
      const cookie = (await renew(path)) ?? "";
      expect(cookie).toMatch(/^holdline=[\w.-]+; Max-Age=2592000; HttpOnly; SameSite=Lax$/);
      expect(await renew(path, { "X-Forwarded-Proto": "https" })).toMatch(/; Secure$/);
      const headers = { Cookie: cookie.split(";")[0] ?? "" };
      expect((await ann.say("still me", headers)).status).toBe(200);
      expect(await renew(path, headers)).toBeUndefined();
    }
  });

  test("on no other path, because the cookie's Path would differ", async () => {
    const { ann } = await startRoom();
    sleep(2 * DAY);
    for (const path of ["chatroom/ann/", "get_post/ann?since=0&wait=0", "login", "healthz", "chat.css"])
      expect([path, cookieOf(await ann.ask(path))]).not.toEqual([path, expect.stringMatching(/^holdline=/)]);
  });
});

describe("two servers on one host", () => {
  test("have separate sessions in one browser, and a log-out of one keeps the other", async () => {
    const [one, other] = [await startRoom(), await startRoom()];
    const [{ ann }, { bob }] = [one, other];
    // A browser separates cookies by name and not by port.
    const Cookie = `${cookieAt(one.url, ann)}; ${cookieAt(other.url, bob)}`;
    const at = ({ url }: Person) => ({ Cookie, Host: new URL(url).host });
    expect([await home(ann, at(ann)), await home(bob, at(bob))]).toEqual(["chatroom/ann/", "chatroom/bob/"]);
    const { headers } = await ann.send("logout", "", at(ann));
    expect(headers["set-cookie"]?.[0]).toMatch(`holdline_${new URL(one.url).port}=; Max-Age=0`);
    expect([await home(ann, at(ann)), await home(bob, at(bob))]).toEqual(["login", "chatroom/bob/"]);
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
    const ann = Person.of(url, "ann", await login(url, "ann", { Host }));
    expect(ann.cookie.split("=")[0]).toBe(name);
    expect(await home(ann, { Host })).toBe("chatroom/ann/");
    expect(await home(ann, { Host: "chat.test:1" })).toBe("login");
  });

  test.each([
    [true, "holdline_8443"],
    [false, "holdline_5000"],
  ])("behind a proxy, trusted: %s, call the cookie %s", async (trustProxy, name) => {
    const { url } = await start({ trustProxy });
    const proxied = { Host: "10.0.0.1:5000", "X-Forwarded-Host": "a.test:1, chat.test:8443" };
    expect(cookieOf(await login(url, "ann", proxied)).split("=")[0]).toBe(name);
  });
});

test("a valid cookie is verified once, also with other and forged cookies beside it", async () => {
  const { ann } = await startRoom();
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
  for (const spelling of [`${value}!`, `${value}=`, `${value.replace(".", ".!")}`])
    expect([spelling, await status(`${name}=${spelling}`)]).toEqual([spelling, 401]);
});

describe("secrets", () => {
  test("rotate: the first signs, all are accepted, and a removed one is not", async () => {
    const { ann } = await startRoom({ secrets: ["first"] });
    const during = ann.at(await start({ secrets: ["second", Buffer.from("first")] }));
    expect(await home(during)).toBe("chatroom/ann/");
    sleep(2 * DAY);
    const renewed = cookieOf(await during.ask("who"));
    const after = ann.at(await start({ secrets: ["second"] }));
    expect(await home(after)).toBe("login");
    expect(await home(after, { Cookie: renewed })).toBe("chatroom/ann/");
  });

  test("are random for each chat without the option", async () => {
    const { ann } = await startRoom();
    expect(await home(ann.at(await start()))).toBe("login");
  });

  test("that sign other data create neither a session nor an internal error", async () => {
    const { ann } = await startRoom({ secrets: ["shared"] });
    const strange = ["hello", "", "null", "ann", '["ann","x",1,2]', "x 1 2", "x 1 2 ", "x one 2 ann"];
    for (const text of [...strange, "x 1 two ann", " 1 2 ann", "form 1 2"]) {
      ann.cookie = `holdline=${sign(text, "shared")}`;
      expect([text, await ann.status()]).toEqual([text, 401]);
    }
  });
});

test("after a restart a valid cookie claims its name again, and the newer of two log-ins wins", async () => {
  const secrets: [string] = ["kept"];
  const before = await start({ secrets, grace: 1 });
  const older = await Person.login(before.url, "ann");
  await older.leave();
  const newer = await Person.login(before.url, "ann");
  const after = await start({ secrets });
  const [old, current] = [older.at(after), newer.at(after)];
  expect([await old.status(), await current.status(), await old.status()]).toEqual([200, 200, 401]);
});
