/** A second log-in, and a log-in form submitted twice. Rules for every server are in the kit. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { chatPerTest } from "./chat.js";
import { keyOf, loginKey, submit } from "./forms.js";
import { ask, code, cookieOf, HTML, login, Person, sessionIn } from "./person.js";

const start = chatPerTest();
afterEach(() => {
  vi.useRealTimers();
});

const TAKEN = [409, "name_taken"];

describe("a second log-in under the same name", () => {
  test("in another spelling keeps the spelling and creates no notice", async () => {
    const { url } = await start();
    const ann = await Person.login(url, "Ann");
    // Waits until Ann's join notice is stored.
    while ((await ann.batch("since=0&wait=0")).messages.length === 0);
    const reply = await login(url, "ANN", { Cookie: ann.cookie });
    expect(reply.headers.location).toBe("chatroom/Ann/");
    ann.cookie = cookieOf(reply);
    const { messages, present } = await ann.batch("since=0&wait=0");
    expect([messages.map(({ kind, user }) => `${user} ${kind}`), present]).toEqual([["Ann join"], 1]);
  });

  test("under another name in the same browser frees the former name", async () => {
    const { url } = await start();
    const eve = await Person.login(url, "eve");
    expect((await login(url, "eva", { Cookie: eve.cookie })).status).toBe(303);
    await Person.login(url, "eve");
    expect(await eve.status()).toBe(401);
  });
});

describe("a log-in form submitted twice", () => {
  /** Submits a form and returns the person who is logged in. */
  async function enter(url: string, key: string, headers = {}): Promise<Person> {
    const reply = await submit(url, "ann", key, headers);
    expect(reply.status).toBe(303);
    return Person.of(url, "ann", reply);
  }

  /** Submits a form twice at once and then again. Expects one session, and returns it. */
  async function again(url: string, key: string, headers = {}): Promise<Person> {
    const both = await Promise.all([enter(url, key, headers), enter(url, key, headers)]);
    const person = await enter(url, key, headers);
    expect(new Set([person, ...both].map(({ cookie }) => sessionIn(cookie))).size).toBe(1);
    return person;
  }

  test("is one log-in for a user with a session under this or another name", async () => {
    const { url } = await start();
    for (const former of ["ann", "bob"]) {
      const old = await Person.login(url, former);
      const headers = { Cookie: old.cookie };
      const ann = await again(url, await loginKey(url, headers), headers);
      expect(await old.status()).toBe(401);
      await ann.logout();
    }
    expect((await login(url, "bob")).status).toBe(303);
  });

  test("is one log-in if the form is older than the current session", async () => {
    const { url } = await start();
    const key = await loginKey(url);
    const current = await enter(url, await loginKey(url));
    await again(url, key, { Cookie: current.cookie });
    expect(await current.status()).toBe(401);
  });

  test("with two names is two log-ins", async () => {
    const { url } = await start();
    const key = await loginKey(url);
    const bob = await submit(url, "bob", key);
    expect(sessionIn(cookieOf(bob))).not.toBe(sessionIn((await enter(url, key)).cookie));
  });

  test.each<[string, (first: Person, url: string) => Promise<unknown>]>([
    ["a log-out", (first) => first.logout()],
    [
      "a change of owner",
      async (first, url) => {
        await first.leave();
        await (await enter(url, await loginKey(url))).leave();
      },
    ],
  ])("does not revive a session that ended by %s", async (_, end) => {
    const { url } = await start();
    const key = await loginKey(url);
    const first = await enter(url, key);
    await end(first, url);
    // The form is still valid: submitting it twice is one log-in.
    const second = await again(url, key);
    expect(sessionIn(second.cookie)).not.toBe(sessionIn(first.cookie));
    expect([await first.status(), await second.status()]).toEqual([401, 200]);
  });

  test("does not take a name from its present owner", async () => {
    const { url } = await start();
    const key = await loginKey(url);
    const first = await enter(url, key);
    await first.leave();
    const rival = await enter(url, await loginKey(url));
    for (const headers of [{}, { Cookie: first.cookie }])
      expect(code(await submit(url, "ann", key, headers))).toEqual(TAKEN);
    expect(await rival.status()).toBe(200);
  });
});

describe("the form of a browser", () => {
  test("that comes back without the cookie of its page is 403, with the form again and the reason", async () => {
    const { url, chat } = await start();
    const page = await ask(`${url}/login`);
    expect(page.headers["set-cookie"]).toEqual(["holdline-check=1; HttpOnly; SameSite=Lax"]);
    const refused = await submit(url, "ann", keyOf(page.body), HTML);
    expect([refused.status, keyOf(refused.body)]).toEqual([403, keyOf(page.body)]);
    expect(refused.body).toContain("Your browser blocks cookies.");
    expect(refused.headers["set-cookie"]).toEqual(page.headers["set-cookie"]);
    expect(chat.present).toEqual([]);
    const headers = { ...HTML, Cookie: "holdline-check=1" };
    expect((await ask(`${url}/login`, { headers })).headers["set-cookie"]).toBeUndefined();
    expect((await submit(url, "ann", keyOf(page.body), headers)).status).toBe(303);
  });

  test("needs no cookie without a key", async () => {
    const { url } = await start();
    expect((await login(url, "ann", HTML)).status).toBe(303);
  });

  test("keeps its key after a refusal", async () => {
    const { url } = await start();
    const key = await loginKey(url);
    const refused = await submit(url, "a/b", key, HTML);
    expect([refused.status, keyOf(refused.body)]).toEqual([422, key]);
    const made = keyOf((await submit(url, "a/b", "made up", HTML)).body);
    expect(made).not.toBe("made up");
    for (let n = 0; n < 2; n++) expect((await submit(url, "ann", made)).status).toBe(303);
  });
});

describe("a form key", () => {
  test("that the caller made, changed or took from a cookie is ignored", async () => {
    const { url } = await start();
    const { cookie } = await Person.login(url, "bob");
    const key = await loginKey(url);
    const [payload = "", mac = ""] = key.split(".");
    const decoded = Buffer.from(payload, "base64url").toString();
    const later = Buffer.from(decoded.replace(/\d{13}/, "9999999999999")).toString("base64url");
    const [label, value = ""] = cookie.split("=");
    const chosen = ["", "x", "k".repeat(16), "a.b", key.slice(0, -2), payload, `${payload}.`, `.${mac}`];
    chosen.push(`${later}.${mac}`, `${key}${"A".repeat(60_000)}`, value);
    for (const [n, one] of chosen.entries()) {
      expect((await submit(url, `ann${n}`, one)).status, one).toBe(303);
      expect(code(await submit(url, `ann${n}`, one)), one).toEqual(TAKEN);
    }
    // A key is not a cookie either.
    const headers = { Cookie: `${label}=${key}` };
    expect((await ask(`${url}/get_post/form?since=now&wait=0`, { headers })).status).toBe(401);
  });

  test("is valid for a day", async () => {
    const { url } = await start();
    vi.useFakeTimers({ toFake: ["Date"] });
    const key = await loginKey(url);
    vi.setSystemTime(Date.now() + 24 * 3_600_000 - 60_000);
    for (let n = 0; n < 2; n++) expect((await submit(url, "ann", key)).status).toBe(303);
    vi.setSystemTime(Date.now() + 120_000);
    expect((await submit(url, "ann", key)).status).toBe(409);
    expect((await submit(url, "bob", key)).status).toBe(303);
  });
});
