/** Lengths are checked before costly work, so that the cost of a request is bounded. */
import type * as Crypto from "node:crypto";
import { createHmac } from "node:crypto";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { type Running, startChat } from "./chat.js";
import { ask, code, FORM, HTML, login, Person } from "./person.js";

vi.mock("node:crypto", async (original) => {
  const crypto = await original<typeof Crypto>();
  return { ...crypto, createHmac: vi.fn(crypto.createHmac) };
});

let running: Running;
let url: string;
let ann: Person;
beforeAll(async () => {
  running = await startChat({ secrets: ["new", "old"] });
  ({ url } = running);
  ann = await Person.login(url, "ann");
});
afterEach(() => {
  vi.restoreAllMocks();
});
afterAll(async () => {
  ann.close();
  await running.close();
  expect(running.log).toEqual([]);
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

test("a long user in a path is refused before normalisation", async () => {
  const longest = watchNormalize();
  const user = encodeURIComponent(`a${marks(1_200)}`);
  for (const path of [`get_post/${user}?since=0&wait=0`, `chatroom/${user}/`]) await ann.ask(path);
  expect(
    code(await ann.ask(`put_post/${user}`, { method: "POST", headers: FORM, body: "message=x" })),
  ).toEqual([403, "not_you"]);
  expect(longest()).toBeLessThanOrEqual(256);
});

test.each([
  ["a thousand cookies of our name", "a.b", 1_000],
  ["a cookie of 15 KB", `${"a".repeat(15_000)}.b`, 1],
])("%s cost at most a few signature checks", async (_, value, count) => {
  const [label] = ann.cookie.split("=");
  const Cookie = Array.from({ length: count }, () => `${label}=${value}`).join("; ");
  vi.mocked(createHmac).mockClear();
  const reply = await ask(`${url}/get_post/ann?since=0&wait=0`, { headers: { Cookie } });
  expect(code(reply)).toEqual([401, "no_session"]);
  // Each tried cookie is checked with two secrets.
  expect(vi.mocked(createHmac).mock.calls.length).toBeLessThanOrEqual(16);
});

test("a valid cookie is found behind a few foreign ones", async () => {
  const [label] = ann.cookie.split("=");
  const Cookie = `${label}=${"a".repeat(5_000)}.b; ${label}=a.b; ${label}=c.d; ${ann.cookie}`;
  expect((await ask(`${url}/get_post/ann?since=0&wait=0`, { headers: { Cookie } })).status).toBe(200);
});

test("the form repeats a short refused name and omits one of 64 KiB", async () => {
  const long = await ask(`${url}/login`, {
    method: "POST",
    headers: { ...FORM, ...HTML },
    body: `name=${"<".repeat(60_000)}`,
  });
  expect(long.status).toBe(422);
  expect(long.body.length).toBeLessThan(10_000);
  expect((await login(url, "a/b", HTML)).body).toContain('value="a/b"');
});

test("an idempotency key has at most 64 code points", async () => {
  const say = (key: string) =>
    ann.ask("put_post/ann", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ message: "x", key }),
    });
  expect((await say("😀".repeat(64))).status).toBe(200);
  for (const key of ["😀".repeat(65), "k".repeat(60_000)])
    expect(code(await say(key))).toEqual([400, "bad_request"]);
});
