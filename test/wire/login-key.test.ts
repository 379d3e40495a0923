/** A second log-in, and a log-in form submitted twice. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { chatPerTest, type Running } from "./chat.js";
import { cookieOf, idOf, keyOf, loginKey, submit } from "./forms.js";
import { ask, code, FORM, HTML, login, Person, type Reply } from "./person.js";

const start = chatPerTest();
afterEach(() => {
  vi.useRealTimers();
});

const status = async ({ url }: Running, name: string, Cookie: string) =>
  (await ask(`${url}/get_post/${encodeURIComponent(name)}?since=now&wait=0`, { headers: { Cookie } })).status;
const post = (url: string, path: string, Cookie: string) =>
  ask(`${url}/${path}`, { method: "POST", headers: { Cookie } });

describe("a second log-in under the same name", () => {
  test("creates a new session, so a planted cookie is worthless", async () => {
    const running = await start();
    const planted = cookieOf(await login(running.url, "ann"));
    const reply = await login(running.url, "ann", { Cookie: planted });
    expect([reply.status, reply.headers.location]).toEqual([303, "chatroom/ann/"]);
    expect(await status(running, "ann", planted)).toBe(401);
    expect(await status(running, "ann", cookieOf(reply))).toBe(200);
    expect(code(await login(running.url, "ann", { Cookie: planted }))).toEqual([409, "name_taken"]);
  });

  test("in another spelling keeps the spelling and creates no notice", async () => {
    const running = await start();
    const ann = await Person.login(running.url, "Ann");
    // Waits until Ann's join notice is stored.
    while ((await ann.batch("since=0&wait=0")).messages.length === 0);
    const reply = await login(running.url, "ANN", { Cookie: ann.cookie });
    expect(reply.headers.location).toBe("chatroom/Ann/");
    ann.cookie = cookieOf(reply);
    const { messages, present } = await ann.batch("since=0&wait=0");
    expect([messages.map(({ kind, user }) => `${user} ${kind}`), present]).toEqual([["Ann join"], 1]);
  });

  test("with the cookie of an ended session does not displace the owner", async () => {
    const running = await start();
    const old = cookieOf(await login(running.url, "ann"));
    await post(running.url, "logout", old);
    const owner = cookieOf(await login(running.url, "ann"));
    expect((await login(running.url, "ann", { Cookie: old })).status).toBe(409);
    expect(await status(running, "ann", owner)).toBe(200);
  });
});

describe("a log-in form submitted twice", () => {
  test.each([
    ["one after the other", false],
    ["both at once", true],
  ])("%s is one log-in, whose answers are both good", async (_, together) => {
    const running = await start();
    const key = await loginKey(running.url);
    const send = () => submit(running.url, "ann", key);
    const replies = together ? await Promise.all([send(), send()]) : [await send(), await send()];
    for (const reply of replies) {
      expect([reply.status, reply.headers.location]).toEqual([303, "chatroom/ann/"]);
      expect(await status(running, "ann", cookieOf(reply))).toBe(200);
    }
    expect(new Set(replies.map((reply) => idOf(cookieOf(reply)))).size).toBe(1);
  });

  test("is the same session if the second request has the first cookie", async () => {
    const running = await start();
    const key = await loginKey(running.url);
    const first = await submit(running.url, "ann", key);
    const second = await submit(running.url, "ann", key, { Cookie: cookieOf(first) });
    expect(idOf(cookieOf(second))).toBe(idOf(cookieOf(first)));
  });

  test("is one log-in for a user with a session under this or another name", async () => {
    const running = await start();
    for (const former of ["ann", "bob"]) {
      const Cookie = cookieOf(await login(running.url, former));
      const key = await loginKey(running.url, { Cookie });
      const replies = await Promise.all([1, 2].map(() => submit(running.url, "ann", key, { Cookie })));
      expect(replies.map((reply) => reply.status)).toEqual([303, 303]);
      expect(new Set(replies.map((reply) => idOf(cookieOf(reply)))).size).toBe(1);
      expect(await status(running, former, Cookie)).toBe(401);
      await post(running.url, "logout", cookieOf(replies[1] ?? (replies[0] as Reply)));
    }
    expect((await login(running.url, "bob")).status).toBe(303);
  });

  test("is one log-in if the form is older than the current session", async () => {
    const running = await start();
    const key = await loginKey(running.url);
    const Cookie = cookieOf(await submit(running.url, "ann", await loginKey(running.url)));
    const [first, second] = [
      await submit(running.url, "ann", key, { Cookie }),
      await submit(running.url, "ann", key, { Cookie }),
    ];
    expect([first.status, second.status, idOf(cookieOf(second))]).toEqual([303, 303, idOf(cookieOf(first))]);
    expect(await status(running, "ann", Cookie)).toBe(401);
  });

  test("with two names is two log-ins", async () => {
    const running = await start();
    const key = await loginKey(running.url);
    const [ann, bob] = [await submit(running.url, "ann", key), await submit(running.url, "bob", key)];
    expect([ann.status, bob.status]).toEqual([303, 303]);
    expect(idOf(cookieOf(ann))).not.toBe(idOf(cookieOf(bob)));
  });

  test("keeps its key after a refusal", async () => {
    const { url } = await start();
    const key = await loginKey(url);
    const refused = await submit(url, "a/b", key, HTML);
    expect([refused.status, keyOf(refused.body)]).toEqual([422, key]);
    const made = keyOf((await submit(url, "a/b", "made up", HTML)).body);
    expect(made).not.toBe("made up");
    expect((await submit(url, "ann", made)).status).toBe(303);
    expect((await submit(url, "ann", made)).status).toBe(303);
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
});

describe("a form key", () => {
  test("of another form gets 409", async () => {
    const { url } = await start();
    expect((await submit(url, "ann", await loginKey(url))).status).toBe(303);
    expect(code(await submit(url, "ann", await loginKey(url)))).toEqual([409, "name_taken"]);
  });

  test("that the caller made, changed or took from a cookie is ignored", async () => {
    const running = await start();
    const { url } = running;
    const cookie = cookieOf(await login(url, "bob"));
    const key = await loginKey(url);
    const [payload = "", mac = ""] = key.split(".");
    const later = Buffer.from(payload, "base64url")
      .toString()
      .replace(/\d{13}/, "9999999999999");
    const chosen = [
      "",
      "x",
      "k".repeat(16),
      "a.b",
      key.slice(0, -2),
      payload,
      `${payload}.`,
      `.${mac}`,
      `${Buffer.from(later).toString("base64url")}.${mac}`,
      `${key}${"A".repeat(60_000)}`,
      cookie.split("=")[1] ?? "",
    ];
    for (const [n, one] of chosen.entries()) {
      expect((await submit(url, `ann${n}`, one)).status, one).toBe(303);
      expect(code(await submit(url, `ann${n}`, one)), one).toEqual([409, "name_taken"]);
    }
    // A key is not a cookie either.
    expect(await status(running, "form", `${cookie.split("=")[0]}=${key}`)).toBe(401);
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

  test.each([
    ["a log-out", async () => {}],
    [
      "a change of owner",
      async (url: string) => {
        await post(url, "leave/ann", cookieOf(await submit(url, "ann", await loginKey(url))));
      },
    ],
  ])("does not revive a session that ended by %s", async (_, change) => {
    const running = await start();
    const { url } = running;
    const key = await loginKey(url);
    const first = await submit(url, "ann", key);
    await post(url, change.length === 0 ? "logout" : "leave/ann", cookieOf(first));
    await change(url);
    const second = await submit(url, "ann", key);
    expect(second.status).toBe(303);
    expect(idOf(cookieOf(second))).not.toBe(idOf(cookieOf(first)));
    expect(await status(running, "ann", cookieOf(first))).toBe(401);
    expect(await status(running, "ann", cookieOf(second))).toBe(200);
    // The form is still valid: submitting it twice is one log-in.
    expect(idOf(cookieOf(await submit(url, "ann", key)))).toBe(idOf(cookieOf(second)));
  });

  test("does not take a name from its present owner", async () => {
    const running = await start();
    const { url } = running;
    const key = await loginKey(url);
    const first = await submit(url, "ann", key);
    await post(url, "leave/ann", cookieOf(first));
    const rival = await submit(url, "ann", await loginKey(url));
    expect(code(await submit(url, "ann", key))).toEqual([409, "name_taken"]);
    expect(code(await submit(url, "ann", key, { Cookie: cookieOf(first) }))).toEqual([409, "name_taken"]);
    expect(await status(running, "ann", cookieOf(rival))).toBe(200);
  });

  test("is optional", async () => {
    const { url } = await start();
    const json = { "Content-Type": "application/json" };
    const send = () => ask(`${url}/login`, { method: "POST", headers: json, body: '{"name":"ann"}' });
    const first = await send();
    expect(first.status).toBe(303);
    expect(code(await send())).toEqual([409, "name_taken"]);
    const again = { method: "POST", headers: { ...FORM, Cookie: cookieOf(first) }, body: "name=ann" };
    expect((await ask(`${url}/login`, again)).status).toBe(303);
  });

  test("is accepted in JSON", async () => {
    const { url } = await start();
    const key = await loginKey(url);
    const body = JSON.stringify({ name: "ann", key });
    const json = { "Content-Type": "application/json" };
    for (let n = 0; n < 2; n++) {
      expect((await ask(`${url}/login`, { method: "POST", headers: json, body })).status).toBe(303);
    }
  });
});
