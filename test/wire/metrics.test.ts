/** The metrics at `/metrics`. */
import { expect, test } from "vitest";
import { StoreUnavailable } from "../../src/index.js";
import { chatPerTest, FaultyStore, roomPerTest, until } from "./chat.js";
import { ask } from "./person.js";
import { dial, get } from "./raw.js";
import { startServer } from "./server.js";

const [startEmpty, start] = [chatPerTest(), roomPerTest()];

/** Returns all values by name and labels. */
async function read(url: string): Promise<Record<string, number>> {
  const { status, body } = await ask(`${url}/metrics`);
  expect(status).toBe(200);
  const lines = body.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return Object.fromEntries(lines.map((line) => [line.replace(/ \S+$/, ""), Number(line.split(" ").at(-1))]));
}

test("/metrics exists with the option or the flag only", async () => {
  const { url } = await startEmpty();
  expect((await ask(`${url}/metrics`)).status).toBe(404);
  const server = await startServer("--metrics");
  expect(await read(server.url)).toMatchObject({ holdline_people: 0 });
  await server.stop();
});

test("each metric has a help line, a type and a name by the rules of Prometheus", async () => {
  const { url } = await start({ metrics: true });
  const { body } = await ask(`${url}/metrics`);
  const names = [...body.matchAll(/^# HELP (\w+) .+\n# TYPE (\w+) (counter|gauge|histogram)\n/gm)];
  expect(names).toHaveLength(8);
  for (const [, name = "", same, type] of names) {
    expect([same, name.endsWith("_total"), /^holdline_[a-z_]+$/.test(name)]).toEqual([
      ...[name, type === "counter", true],
    ]);
    if (type === "histogram") expect(name).toMatch(/_seconds$/);
  }
});

test("users, polls, posts, messages and bytes are counted", async () => {
  const { url, ann, port, chat } = await start({ metrics: true, maxWaiters: 1, grace: 3_600_000 });
  const before = await read(url);
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
    'holdline_polls_total{outcome="events"}': 1,
    'holdline_polls_total{outcome="timeout"}': 1,
    'holdline_polls_total{outcome="immediate"}': 1,
    'holdline_polls_total{outcome="disconnected"}': 1,
    'holdline_polls_total{outcome="full"}': 1,
    'holdline_posts_total{outcome="kept"}': 1,
    'holdline_posts_total{outcome="bad_message"}': 1,
    holdline_store_append_seconds_count: 1,
    'holdline_store_append_seconds_bucket{le="+Inf"}': 1,
  });
  // The post and a notice.
  expect(after.holdline_messages_total).toBe(2);
  const sent = (after.holdline_sent_bytes_total ?? 0) - (before.holdline_sent_bytes_total ?? 0);
  expect(sent).toBeGreaterThan(1000);
  expect(after.holdline_store_append_seconds_sum).toBeGreaterThan(0);
});

test("a post that the store refuses is counted by its error", async () => {
  const store = new FaultyStore(() => new StoreUnavailable("secret detail"));
  const { url, ann } = await start({ metrics: true, store });
  const { status, headers, body } = await ann.say("x");
  expect([status, body.includes("secret")]).toEqual([503, false]);
  expect(Number(headers["retry-after"])).toBeGreaterThan(0);
  expect(await read(url)).toMatchObject({
    holdline_store_append_seconds_count: 0,
    'holdline_posts_total{outcome="store_unavailable"}': 1,
  });
});

test("a blocked event loop appears in the metrics", async () => {
  const { url } = await start({ metrics: true });
  const above = async () => {
    const metrics = await read(url);
    const { holdline_event_loop_delay_seconds_count: all = 0 } = metrics;
    return all - (metrics['holdline_event_loop_delay_seconds_bucket{le="0.25"}'] ?? 0);
  };
  const before = await above();
  for (const end = performance.now() + 500; performance.now() < end; );
  while ((await above()) === before);
});

test("no request creates a new series", async () => {
  const { url, ann } = await start({ metrics: true });
  await ann.say("");
  const before = Object.keys(await read(url));
  for (let n = 0; n < 20; n++) {
    await ann.say("", { "Idempotency-Key": `${n}` });
    await ask(`${url}/nothing/${n}`);
    await ask(`${url}/put_post/who${n}`, { method: "POST" });
  }
  const more = (await read(url)) as object;
  expect(Object.keys(more).filter((name) => !before.includes(name))).toEqual([
    'holdline_posts_total{outcome="no_session"}',
  ]);
});
