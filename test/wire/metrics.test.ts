/** The metrics at `/metrics`. The kit tries the flag, and that there are none without it. */
import { expect, test } from "vitest";
import { StoreUnavailable } from "../../src/index.js";
import { FaultyStore, startRoom as start, until } from "./chat.js";
import { ask } from "./person.js";
import { dial, get } from "./raw.js";

/** Returns all values by name and labels. */
async function read(url: string): Promise<Record<string, number>> {
  const { status, body } = await ask(`${url}/metrics`);
  expect(status).toBe(200);
  const lines = body.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return Object.fromEntries(lines.map((line) => [line.replace(/ \S+$/, ""), Number(line.split(" ").at(-1))]));
}

test("users, polls, posts and messages are counted", async () => {
  const { url, ann, port, chat } = await start({ metrics: true, maxWaiters: 1, grace: 3_600_000 });
  const poll = ann.batch("since=now&wait=60&client=a");
  await until(() => chat.waiting === 1);
  expect(await read(url)).toMatchObject({ holdline_waiters: 1, holdline_people: 1 });
  expect((await ann.poll("since=now&wait=60&client=b")).status).toBe(503);
  await ann.post("hello");
  await poll;
  await ann.say("");
  await ann.batch("since=0&wait=0");
  await ann.batch("since=now&wait=0.01");
  const lost = dial(port, get("/get_post/ann?since=now&wait=60", `Cookie: ${ann.cookie}`));
  await until(() => chat.waiting === 1);
  lost.socket.destroy();
  await until(() => chat.waiting === 0);
  const after = await read(url);
  expect(after).toMatchObject({
    holdline_waiters: 0,
    // The post and a notice.
    holdline_messages_total: 2,
    'holdline_polls_total{outcome="events"}': 1,
    'holdline_polls_total{outcome="timeout"}': 1,
    'holdline_polls_total{outcome="immediate"}': 1,
    'holdline_polls_total{outcome="disconnected"}': 1,
    'holdline_polls_total{outcome="full"}': 1,
    'holdline_posts_total{outcome="kept"}': 1,
    'holdline_posts_total{outcome="bad_message"}': 1,
    holdline_store_append_seconds_count: 1,
  });
  expect(after.holdline_store_append_seconds_sum).toBeGreaterThan(0);
});

test("a post that the store refuses is counted by its error, and no request creates another series", async () => {
  const store = new FaultyStore(() => new StoreUnavailable("secret detail"));
  const { url, ann } = await start({ metrics: true, store });
  const { status, headers, body } = await ann.say("x");
  expect([status, headers["retry-after"], body.includes("secret")]).toEqual([503, "5", false]);
  const before = await read(url);
  expect(before['holdline_posts_total{outcome="store_unavailable"}']).toBe(1);
  for (let n = 0; n < 20; n++) {
    await ann.say("x", { "Idempotency-Key": `${n}` });
    await ask(`${url}/nothing/${n}`);
    await ask(`${url}/put_post/who${n}`, { method: "POST" });
  }
  const names = Object.keys(await read(url)).filter((name) => before[name] === undefined);
  expect(names).toEqual(['holdline_posts_total{outcome="no_session"}']);
});
