/** Bodies, and lengths that are checked before costly work, so that the cost of a request is bounded. */
import type * as Crypto from "node:crypto";
import { createHmac } from "node:crypto";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { chatPerTest, type Running } from "./chat.js";
import { ask, code, FORM, HTML, JSON_TYPE, login, Person, texts } from "./person.js";

vi.mock("node:crypto", async (original) => {
  const crypto = await original<typeof Crypto>();
  return { ...crypto, createHmac: vi.fn(crypto.createHmac) };
});

const start = chatPerTest();
let running: Running;
let url: string;
let ann: Person;
beforeEach(async () => {
  running = await start({ secrets: ["new", "old"] });
  ({ url } = running);
  ann = await Person.login(url, "ann");
});
afterEach(() => {
  vi.restoreAllMocks();
});

/** Combining marks in the slowest order for normalisation. */
const marks = (count: number) => "\u0301".repeat(count) + "\u0316".repeat(count);

/** Returns the length of the longest text that was normalised during a call. */
function watchNormalize(): () => number {
  const { normalize } = String.prototype;
  let longest = 0;
  vi.spyOn(String.prototype, "normalize").mockImplementation(function (this: string, form?: string) {
    longest = Math.max(longest, this.length);
    return normalize.call(this, form);
  });
  return () => longest;
}

test("a name of 64 KiB is refused before normalisation", async () => {
  const longest = watchNormalize();
  const body = `name=a${marks(16_000)}`;
  expect(code(await ask(`${url}/login`, { method: "POST", headers: FORM, body }))).toEqual([422, "bad_name"]);
  await expect(running.chat.post({ user: `a${marks(16_000)}`, text: "x" })).rejects.toThrow(RangeError);
  expect(longest()).toBeLessThanOrEqual(256);
});

test.each([
  ["combining marks", encodeURIComponent(`a${marks(1_200)}`)],
  ["invisible characters behind one's own name", encodeURIComponent(`ann${"\u034f".repeat(300)}`)],
])("a user of many %s in a path is 403 before normalisation", async (_, user) => {
  const longest = watchNormalize();
  await ann.ask(`chatroom/${user}/`);
  for (const reply of [
    await ann.ask(`get_post/${user}?since=0`),
    await ann.send(`put_post/${user}`, "message=x"),
  ])
    expect(code(reply)).toEqual([403, "not_you"]);
  expect(longest()).toBeLessThanOrEqual(256);
});

test.each([
  ["a thousand cookies of our name", "a.b", 1_000],
  ["a cookie of 15 KB", `${"a".repeat(15_000)}.b`, 1],
])("%s cost at most a few signature checks", async (_, value, count) => {
  const [label] = ann.cookie.split("=");
  const Cookie = Array.from({ length: count }, () => `${label}=${value}`).join("; ");
  vi.mocked(createHmac).mockClear();
  const reply = await ann.poll("since=0&wait=0", { headers: { Cookie } });
  expect(code(reply)).toEqual([401, "no_session"]);
  // Each tried cookie is checked with two secrets.
  expect(vi.mocked(createHmac).mock.calls.length).toBeLessThanOrEqual(16);
});

test("the form repeats a short refused name and omits one of 60 KB", async () => {
  const long = await login(url, "<".repeat(20_000), HTML);
  expect([long.status, long.body.length < 10_000]).toEqual([422, true]);
  for (const [name, value] of [
    ["a/b", "a/b"],
    ['"><script>/', "&#34;&#62;&#60;script&#62;/"],
  ] as const)
    expect((await login(url, name, HTML)).body).toContain(`value="${value}"`);
});

const [BAD, TYPE] = [[400, "bad_request"] as const, [415, "unsupported_type"] as const];
const TOO_LARGE = [413, "too_large"] as const;
const NO_MESSAGE = [422, "bad_message"] as const;
const type = (value: string) => ({ "Content-Type": value });
const FORM_TYPE = FORM["Content-Type"];

test.each<[string, string, Record<string, string>, readonly [number, string]]>([
  ["with half a character", '{"message":"\\ud800"}', JSON_TYPE, NO_MESSAGE],
  ["in another charset", "message=x", type(`${FORM_TYPE};charset=gbk`), TYPE],
  ["in UTF-16", "message=x", type('application/json; charset="utf-16"'), TYPE],
  ["of a longer type", "message=x", type(`${FORM_TYPE}x`), TYPE],
  ["of a type behind a letter", "message=x", type(`x${FORM_TYPE}`), TYPE],
  ["in overlong UTF-8", "message=%c0%af", {}, BAD],
  ["with a surrogate in UTF-8", "message=%ed%a0%80", {}, BAD],
  ["with a key of 60,000 characters", `message=x&key=${"k".repeat(60_000)}`, {}, BAD],
  ["that is empty, of any type", "", type("image/png"), NO_MESSAGE],
  ["over 64 KiB, of any type", "x".repeat(70_000), type("image/png"), TOO_LARGE],
  ["over 64 KiB, in chunks", "x".repeat(70_000), { "Transfer-Encoding": "chunked" }, TOO_LARGE],
  ["that is compressed", "message=x", { "Content-Encoding": "gzip" }, TYPE],
  ["far over 64 KiB", "x".repeat(3_000_000), {}, TOO_LARGE],
])("a post with a body %s is refused", async (_, body, headers, refusal) => {
  expect(code(await ann.send("put_post/ann", body, headers))).toEqual(refusal);
});

test.each([
  [`${FORM_TYPE.toUpperCase()} ; Charset=UTF-8`, "message=字"],
  ['application/json; charset="utf-8"', '{"message":"字"}'],
])("a post with a body of type %s is kept", async (name, body) => {
  expect((await ann.send("put_post/ann", body, type(name))).status).toBe(200);
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["字"]);
});

test("a poll by POST takes its fields from the query and the body, the query first", async () => {
  await ann.post("one");
  const inBoth = await ann.send("get_post/ann?since=now", "since=0&wait=0");
  expect(JSON.parse(inBoth.body).messages).toEqual([]);
  expect(code(await ann.send("get_post/ann?wait=0", "since=x"))).toEqual([400, "bad_cursor"]);
});

test("a JSON body of a poll may have since and wait as numbers, and no other field is one", async () => {
  const id = await ann.post("hello");
  const send = (path: string, fields: object) => ann.send(`${path}/ann`, JSON.stringify(fields), JSON_TYPE);
  const { status, body } = await send("get_post", { since: 0, wait: 0.5 });
  expect([status, JSON.parse(body).messages[0].id]).toEqual([200, id]);
  for (const [path, fields, refusal] of [
    ["get_post", { since: 0, wait: 61 }, "bad_request"],
    ["get_post", { since: 5, wait: 0 }, "bad_cursor"],
    ["get_post", { since: 0, client: 5 }, "bad_request"],
    ["put_post", { message: 5 }, "bad_request"],
  ] as const)
    expect(code(await send(path, fields))).toEqual([400, refusal]);
});
