/** The limits of waiters, names, bodies and lengths, so that the cost of callers is bounded. */
import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import { expect, onTestFinished, test, vi } from "vitest";
import { startRoom, until } from "./chat.js";
import { code, FORM, HTML, JSON_TYPE, login, Person, texts } from "./person.js";

const FULL = [503, "too_many_waiters"];
const held = (person: Person, client: string) => person.batch(`since=now&wait=60&client=${client}`);

test("a poll over the limit is 503, and held, superseding and immediate polls stay", async () => {
  const { ann, chat } = await startRoom({ maxWaiters: 3, grace: 3_600_000 });
  await ann.end();
  const polls = ["a", "b", "c"].map((client) => held(ann, client));
  await until(() => chat.waiting === 3);
  for (const query of ["since=now&wait=60&client=d", ""]) {
    const reply = await ann.poll(query);
    expect(code(reply)).toEqual(FULL);
    expect(Number(reply.headers["retry-after"])).toBeGreaterThan(0);
  }
  const newer = held(ann, "a");
  expect(await polls[0]).toMatchObject({ superseded: true });
  expect(await ann.batch("since=now&wait=0")).toMatchObject({ messages: [] });
  await ann.post("all of you");
  for (const poll of [...polls.slice(1), newer]) expect(texts(await poll)).toEqual(["all of you"]);
});

test("a full room takes polls from the user with most, until every user has a fair share", async () => {
  const { url, ann, bob, chat } = await startRoom({ maxWaiters: 4 });
  const [cat, dan] = [await Person.login(url, "cat"), await Person.login(url, "dan")];
  const eve = await Person.login(url, "eve");
  // All users are present before, because a join notice would answer held polls.
  for (const person of [ann, bob, cat, dan, eve]) await person.end();
  const greedy: ReturnType<typeof held>[] = [];
  for (const [n, client] of ["a", "b", "c", "d"].entries()) {
    greedy.push(held(ann, client));
    await until(() => chat.waiting === n + 1);
  }
  expect(code(await ann.poll("since=now&wait=60&client=e"))).toEqual(FULL);
  const modest: ReturnType<typeof held>[] = [];
  for (const [n, person] of [bob, cat, dan].entries()) {
    modest.push(held(person, "a"));
    // The oldest poll ends as at a time-out, with a valid cursor.
    expect(await greedy[n]).toMatchObject({ messages: [], cursor: expect.stringMatching(/^\d+-\d+$/) });
    expect(chat.waiting).toBe(4);
  }
  for (const query of ["since=now&wait=60", ""]) expect(code(await eve.poll(query))).toEqual(FULL);
  await eve.post("to all");
  for (const poll of [...modest, greedy[3]])
    expect((await poll)?.messages.at(-1)).toMatchObject({ text: "to all" });
  await until(() => chat.waiting === 0);
});

test("when all names are taken, log-ins are 503 until a name is free, and present users stay", async () => {
  const { url, ann, bob } = await startRoom({ maxNames: 2 });
  const full = await login(url, "cat");
  expect([...code(full), Number(full.headers["retry-after"]) > 0]).toEqual([...FULL, true]);
  expect((await login(url, "cat", HTML)).headers["retry-after"]).toBe(full.headers["retry-after"]);
  for (const person of [ann, bob]) await person.post("still here");
  await bob.logout();
  await (await Person.login(url, "cat")).post("at last");
  expect(texts(await ann.batch("since=0&wait=0")).at(-1)).toBe("at last");
  expect((await bob.say("a ghost")).status).toBe(401);
});

/** Combining marks in the slowest order for normalisation. */
const marks = (count: number) => "\u0301".repeat(count) + "\u0316".repeat(count);

test("names and users of a path that are too long are refused before normalisation", async () => {
  const { url, ann, chat } = await startRoom();
  const { normalize } = String.prototype;
  let longest = 0;
  vi.spyOn(String.prototype, "normalize").mockImplementation(function (this: string, form?: string) {
    longest = Math.max(longest, this.length);
    return normalize.call(this, form);
  });
  const long = await login(url, `a${marks(5_000)}`, HTML);
  // The form omits the name.
  expect([long.status, long.body.length < 10_000]).toEqual([422, true]);
  await expect(chat.post({ user: `a${marks(16_000)}`, text: "x" })).rejects.toThrow(RangeError);
  for (const name of [`a${marks(1_200)}`, `ann${"\u034f".repeat(300)}`]) {
    const user = encodeURIComponent(name);
    await ann.ask(`chatroom/${user}/`);
    expect(code(await ann.ask(`get_post/${user}?since=0`))).toEqual([403, "not_you"]);
    expect(code(await ann.send(`put_post/${user}`, "message=x"))).toEqual([403, "not_you"]);
  }
  expect(longest).toBeLessThanOrEqual(256);
});

test.each([
  ["a thousand cookies of our name", "a.b", 1_000],
  ["a cookie of 15 KB", `${"a".repeat(15_000)}.b`, 1],
])("%s cost at most a few signature checks", async (_, value, count) => {
  const { ann } = await startRoom({ secrets: ["new", "old"] });
  onTestFinished(syncBuiltinESMExports);
  const hmac = vi.spyOn(crypto, "createHmac");
  syncBuiltinESMExports();
  const Cookie = Array.from({ length: count }, () => `holdline=${value}`).join("; ");
  const reply = await ann.poll("since=0&wait=0", { headers: { Cookie } });
  expect(code(reply)).toEqual([401, "no_session"]);
  // Each tried cookie is checked with two secrets.
  expect(hmac.mock.calls.length).toBeLessThanOrEqual(16);
});

const TYPE = [415, "unsupported_type"] as const;
const TOO_LARGE = [413, "too_large"] as const;
const BAD = [400, "bad_request"] as const;
const NO_MESSAGE = [422, "bad_message"] as const;
const type = (value: string) => ({ "Content-Type": value });
const FORM_TYPE = FORM["Content-Type"];

test("a post is kept or refused by the type, charset, coding, UTF-8 and length of its body", async () => {
  const { ann } = await startRoom();
  for (const [what, body, headers, refusal] of [
    ["a number beyond JavaScript's", '{"message":1e400}', JSON_TYPE, BAD],
    ["half a character", '{"message":"\\ud800"}', JSON_TYPE, NO_MESSAGE],
    ["another charset", "message=x", type(`${FORM_TYPE};charset=gbk`), TYPE],
    ["UTF-16", "message=x", type('application/json; charset="utf-16"'), TYPE],
    ["a longer type", "message=x", type(`${FORM_TYPE}x`), TYPE],
    ["a type behind a letter", "message=x", type(`x${FORM_TYPE}`), TYPE],
    ...["%", "%2", "%u0041", "%ff", "%c0%af", "%ed%a0%80", "%f8%88%80%80%80"].flatMap((code) => [
      [code, `message=x&a=${code}`, {}, BAD] as const,
      [code, `message=x&${code}=a`, {}, BAD] as const,
    ]),
    ["empty, of any type", "", type("image/png"), NO_MESSAGE],
    ["over 64 KiB, of any type", "x".repeat(70_000), type("image/png"), TOO_LARGE],
    ["over 64 KiB, in chunks", "x".repeat(70_000), { "Transfer-Encoding": "chunked" }, TOO_LARGE],
    ["compressed", "message=x", { "Content-Encoding": "gzip" }, TYPE],
    ["far over 64 KiB", "x".repeat(3_000_000), {}, TOO_LARGE],
  ] as const)
    expect([what, ...code(await ann.send("put_post/ann", body, headers))]).toEqual([what, ...refusal]);
  const names = type(`${FORM_TYPE.toUpperCase()} ; Charset=UTF-8`);
  expect((await ann.send("put_post/ann", "message=字&message=&%6dessage=", names)).status).toBe(200);
  const json = type('application/json; charset="utf-8"');
  expect((await ann.send("put_post/ann", '{"message":"字"}', json)).status).toBe(200);
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["字", "字"]);
});

test("a poll by POST takes its fields from the query and the body, the query first; JSON may have numbers", async () => {
  const { ann } = await startRoom();
  const send = (path: string, fields: object) => ann.send(`${path}/ann`, JSON.stringify(fields), JSON_TYPE);
  const { id } = JSON.parse((await send("put_post", { message: 5 })).body);
  const inBoth = await ann.send("get_post/ann?since=now", "since=0&wait=0");
  expect(JSON.parse(inBoth.body).messages).toEqual([]);
  expect(code(await ann.send("get_post/ann?wait=0", "since=x"))).toEqual([400, "bad_cursor"]);
  const { status, body } = await send("get_post", { since: 0, wait: 0.5 });
  expect([status, JSON.parse(body).messages[0]]).toMatchObject([200, { id, text: "5" }]);
  expect(code(await send("get_post", { since: 0, wait: 61 }))).toEqual([400, "bad_request"]);
  expect(code(await send("get_post", { since: 5, wait: 0 }))).toEqual([400, "bad_cursor"]);
});
