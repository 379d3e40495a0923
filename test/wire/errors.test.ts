/** Errors that depend on options or on holdline itself. The others are in the conformance kit. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Running, startChat, until } from "./chat.js";
import { code, FORM, HTML, login, Person } from "./person.js";

let running: Running;
let ann: Person;
// Longer than the test takes on a slow machine, because a leave notice would answer held polls.
beforeAll(async () => {
  running = await startChat({ maxWaiters: 3, grace: 3_600_000 });
  ann = await Person.login(running.url, "ann");
  await ann.batch("since=now&wait=0");
});
afterAll(async () => {
  await running.close();
  expect(running.log).toEqual([]);
});

test.each([
  [
    "with half a character",
    '{"message":"\\ud800"}',
    { "Content-Type": "application/json" },
    422,
    "bad_message",
  ],
  [
    "in another charset",
    "message=x",
    { "Content-Type": `${FORM["Content-Type"]};charset=gbk` },
    415,
    "unsupported_type",
  ],
  ["that is compressed", "message=x", { ...FORM, "Content-Encoding": "gzip" }, 415, "unsupported_type"],
  ["far over 64 KiB", "x".repeat(3_000_000), FORM, 413, "too_large"],
])("a post with a body %s is refused", async (_, body, headers, status, expected) => {
  const reply = await ann.ask("put_post/ann", { method: "POST", headers, body });
  expect(code(reply)).toEqual([status, expected]);
  if (status === 413) expect(reply.headers.connection).toBe("close");
});

test.each(["", "a%20b", "a".repeat(65)])("a leave with the client id %j is refused", async (client) => {
  const reply = await ann.ask(`leave/ann?client=${client}`, { method: "POST" });
  expect(code(reply)).toEqual([400, "bad_request"]);
});

test("a poll over the limit is 503, and held polls stay", async () => {
  const polls = ["a", "b", "c"].map((client) => ann.batch(`since=now&wait=60&client=${client}`));
  await until(() => running.chat.waiting === 3);
  const reply = await ann.poll("since=now&wait=60&client=d");
  expect(code(reply)).toEqual([503, "too_many_waiters"]);
  expect(Number(reply.headers["retry-after"])).toBeGreaterThan(0);
  expect(code(await ann.ask("get_post/ann"))).toEqual([503, "too_many_waiters"]);
  // A superseding poll takes the slot of the older one, and a poll with wait=0 needs none.
  const newer = ann.batch("since=now&wait=60&client=a");
  expect(await polls[0]).toMatchObject({ superseded: true });
  expect(await ann.batch("since=now&wait=0")).toMatchObject({ messages: [] });
  await ann.post("all of you");
  for (const poll of [...polls.slice(1), newer]) expect((await poll).messages).toHaveLength(1);
});

test("a log-in under another name in the same browser frees the former name", async () => {
  const eve = await Person.login(running.url, "eve");
  expect((await login(running.url, "eva", { Cookie: eve.cookie })).status).toBe(303);
  await Person.login(running.url, "eve");
  expect((await eve.poll("since=now&wait=0")).status).toBe(401);
});

test("a browser with a refused name gets the form with the typed name", async () => {
  for (const [name, value] of [
    ["ann", "ann"],
    ['"><script>/', "&#34;&#62;&#60;script&#62;/"],
  ] as const) {
    const { headers, body } = await login(running.url, name, HTML);
    expect(headers["content-type"]).toBe("text/html; charset=utf-8");
    expect(body).toContain(`value="${value}"`);
  }
});
