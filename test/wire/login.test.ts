/** Log-ins: a second one, a race, and a form that is submitted twice. More rules are in the kit. */
import { expect, test } from "vitest";
import { moveDate, start, startRoom } from "./chat.js";
import { ask, code, cookieOf, HTML, keyOf, login, loginKey, Person, sessionIn } from "./person.js";

const TAKEN = [409, "name_taken"];
const CHECKED = { Cookie: "holdline-check=1" };

test("a second log-in in another spelling keeps the spelling and creates no notice", async () => {
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

/** Submits a form and returns the person who is logged in. */
async function enter(url: string, key: string, headers = {}, name = "ann"): Promise<Person> {
  const reply = await login(url, name, headers, key);
  expect(reply.status).toBe(303);
  return Person.of(url, name, reply);
}

/** Submits a form twice at once and then again. Expects one session, and returns it. */
async function again(url: string, key: string, headers = {}): Promise<Person> {
  const both = await Promise.all([enter(url, key, headers), enter(url, key, headers)]);
  const person = await enter(url, key, headers);
  expect(new Set([person, ...both].map(({ cookie }) => sessionIn(cookie))).size).toBe(1);
  return person;
}

test("a log-in form submitted twice is one log-in for a user with a session under this or another name", async () => {
  const { url } = await start();
  for (const former of ["ann", "bob"]) {
    const old = await Person.login(url, former);
    const headers = { Cookie: old.cookie };
    const ann = await again(url, await loginKey(url, headers), headers);
    expect(await old.status()).toBe(401);
    await ann.logout();
  }
  // A browser has one name: the former one is free.
  expect((await login(url, "bob")).status).toBe(303);
});

test("a log-in form submitted twice is one log-in if the form is older than the current session, and two with two names", async () => {
  const { url } = await start();
  const key = await loginKey(url);
  const current = await enter(url, await loginKey(url));
  const ann = await again(url, key, { Cookie: current.cookie });
  expect(await current.status()).toBe(401);
  expect(sessionIn((await enter(url, key, {}, "bob")).cookie)).not.toBe(sessionIn(ann.cookie));
});

test("a log-in form submitted twice does not revive a session that ended by a log-out or a change of owner", async () => {
  for (const end of ["logout", "leave/ann"]) {
    const { url } = await start();
    const key = await loginKey(url);
    const first = await enter(url, key);
    await first.send(end);
    if (end !== "logout") await (await enter(url, await loginKey(url))).leave();
    // The form is still valid: submitting it twice is one log-in.
    const second = await again(url, key);
    expect(sessionIn(second.cookie)).not.toBe(sessionIn(first.cookie));
    expect([await first.status(), await second.status()]).toEqual([401, 200]);
  }
});

test("a log-in form submitted twice does not take a name from its present owner", async () => {
  const { url } = await start();
  const key = await loginKey(url);
  const first = await enter(url, key);
  await first.leave();
  const rival = await enter(url, await loginKey(url));
  for (const headers of [{}, { Cookie: first.cookie }])
    expect(code(await login(url, "ann", headers, key))).toEqual(TAKEN);
  expect(await rival.status()).toBe(200);
});

test("a browser's form without the cookie of its page is 403, and the form keeps its key after a refusal", async () => {
  const { url, chat } = await start();
  const page = await ask(`${url}/login`);
  expect(page.headers["set-cookie"]).toEqual(["holdline-check=1; HttpOnly; SameSite=Lax"]);
  expect((await ask(`${url}/login`, { method: "HEAD" })).headers["set-cookie"]).toBeUndefined();
  expect((await ask(`${url}/login`, { headers: CHECKED })).headers["set-cookie"]).toBeUndefined();
  const key = keyOf(page.body);
  const refused = await login(url, "ann", HTML, key);
  expect([refused.status, keyOf(refused.body)]).toEqual([403, key]);
  expect(refused.body).toContain("Your browser blocks cookies.");
  expect(refused.headers["set-cookie"]).toEqual(page.headers["set-cookie"]);
  expect(chat.present).toEqual([]);
  const headers = { ...HTML, ...CHECKED };
  expect(keyOf((await login(url, "a/b", headers, key)).body)).toBe(key);
  expect((await login(url, "ann", headers, key)).status).toBe(303);
  // An invented key is replaced.
  const made = keyOf((await login(url, "a/b", headers, "made up")).body);
  for (let n = 0; n < 2; n++) expect((await login(url, "cat", {}, made)).status).toBe(303);
  // A log-in without a key is not from our form.
  expect((await login(url, "bob", HTML)).status).toBe(303);
});

test("a form key that the caller made, changed or took from a cookie is ignored", async () => {
  const { url, bob } = await startRoom();
  const key = await loginKey(url);
  const [payload = "", mac = ""] = key.split(".");
  const decoded = Buffer.from(payload, "base64url").toString();
  const later = Buffer.from(decoded.replace(/\d{13}/, "9999999999999")).toString("base64url");
  const [label, value = ""] = bob.cookie.split("=");
  const chosen = ["", "x", "k".repeat(16), "a.b", key.slice(0, -2), payload, `${payload}.`, `.${mac}`];
  chosen.push(`${later}.${mac}`, `${key}${"A".repeat(60_000)}`, value);
  for (const [n, one] of chosen.entries()) {
    expect((await login(url, `ann${n}`, {}, one)).status, one).toBe(303);
    expect(code(await login(url, `ann${n}`, {}, one)), one).toEqual(TAKEN);
  }
  // A key is not a cookie either.
  expect((await bob.poll("since=now&wait=0", { headers: { Cookie: `${label}=${key}` } })).status).toBe(401);
});

test("a form key is valid for a day", async () => {
  const { url } = await start();
  const key = await loginKey(url);
  moveDate(24 * 3_600_000 - 60_000);
  for (let n = 0; n < 2; n++) expect((await login(url, "ann", {}, key)).status).toBe(303);
  moveDate(120_000);
  expect((await login(url, "ann", {}, key)).status).toBe(409);
  expect((await login(url, "bob", {}, key)).status).toBe(303);
});
