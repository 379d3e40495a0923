/** A feed and its polls, without HTTP. The clock is fake, and answers move it, so a test chooses what a flush costs. */
import { expect, test, vi } from "vitest";
import { type Batch, Feed, type FeedOptions, type Id } from "../../src/feed/index.js";
import { clock, type Poll, poll, stopClock } from "./poll.js";

stopClock();

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
/** Lets the flush that is due happen. */
const flush = () => pass(0);
const newFeed = (options: FeedOptions<string> = {}) => new Feed<string>(options);

/** Runs the next timer, and what awaits it. */
async function next(): Promise<void> {
  vi.advanceTimersToNextTimer();
  for (let n = 0; n < 10; n++) await Promise.resolve();
}

/** Holds polls whose answers take `cost` ms each. */
function hold(feed: Feed<string>, count: number, cost = 1): Poll<string>[] {
  return Array.from({ length: count }, () => {
    const held = poll(feed, feed.lastId);
    held.onAnswer = () => {
      clock.work += cost;
    };
    return held;
  });
}

test("a poll with a cursor in the future is held within the clock skew, and has a gap after a later event", async () => {
  const feed = newFeed({ clockSkew: 60_000 });
  const future: Id = `${Date.now() + 30_000}-0`;
  const lost: Id = `${Date.now()}-5`;
  const [ann, bob, cat] = [poll(feed, future), poll(feed, lost), poll(feed, `${Date.now() + 90_000}-0`, 0)];
  expect(cat.batches).toMatchObject([{ gap: true }]);
  feed.push("earlier", `${Date.now()}-1`);
  await flush();
  feed.push("this one", future);
  await pass(1);
  expect([ann.batches, bob.batches[0]?.gap, bob.events]).toEqual([[], true, ["earlier", "this one"]]);
  feed.push("later");
  await pass(1);
  expect(ann.batches).toEqual([{ cursor: feed.lastId, events: ["later"] }]);
});

test("the cooldown is twice as long as the flush, and the events of that time go out in one reply", async () => {
  const feed = newFeed();
  hold(feed, 1, 6);
  feed.push("one");
  await flush();
  const [ann, bob] = hold(feed, 2);
  feed.push("two");
  await pass(5);
  feed.push("three");
  const late = poll(feed, "0");
  await pass(6);
  expect([ann?.batches, late.batches]).toEqual([[], []]);
  await pass(1);
  expect([ann, bob].map((one) => one?.batches.map(({ events }) => events))).toEqual([
    [["two", "three"]],
    [["two", "three"]],
  ]);
  expect(late.events).toEqual(["one", "two", "three"]);
  await pass(20_000);
  expect(vi.getTimerCount()).toBe(0);
});

test.each([
  ["1,000 answers or fewer", 1000, 40],
  ["more than 1,000 answers", 1001, 5],
])(
  "a flush of %s lets other work run between its slices, which the cooldown does not count",
  async (...row) => {
    const [, size, first] = row;
    const feed = newFeed();
    const polls = hold(feed, size);
    const answered = () => polls.filter(({ events }) => events.length > 0).length;
    feed.push("one");
    await next();
    expect(answered()).toBe(first);
    clock.work += 5000;
    await next();
    expect(answered()).toBe(first + 5);
    // A poll that comes between two slices waits for the next flush.
    const late = poll(feed, "0");
    while (answered() < size) await next();
    await pass(2 * size - 1);
    expect(late.batches).toEqual([]);
    await pass(1);
    expect(late.events).toEqual(["one"]);
  },
);

test.each<FeedOptions<string>>([
  ...[{ backlog: Number.NaN }, { backlog: 0 }, { maxWaiters: Number.NaN }, { maxWaiters: 0 }],
  ...[{ clockSkew: Number.NaN }, { clockSkew: -1 }],
])("a feed with %j throws a RangeError", (options) => {
  expect(() => newFeed(options)).toThrow(RangeError);
});

test("a held waiter cannot be polled again, and skips the events that its cursor is moved past", async () => {
  const feed = newFeed();
  const [ann, bob] = [poll(feed), poll(feed)];
  expect(() => feed.poll(ann)).toThrow("held already");
  ann.cursor = feed.push("ann joined");
  await flush();
  expect([ann.batches, bob.events]).toEqual([[], ["ann joined"]]);
  feed.push("hello");
  await pass(50);
  expect(ann.events).toEqual(["hello"]);
});

test("a waiter is held for its wait, and at most 50 ms longer, whenever the poll before it ended", async () => {
  const feed = newFeed();
  for (const wait of [0.4, 1, 7.5, 999, 1000, 1000, 600, 60_000]) {
    const early = poll(feed, "now", wait, "page");
    await pass(wait / 2);
    feed.cancel(early);
    const ann = poll(feed, "now", wait, "page");
    await pass(Math.ceil(wait) - 1);
    expect([ann.reasons, feed.waiting]).toEqual([[], 1]);
    await pass(51);
    expect([ann.reasons, feed.waiting]).toEqual([["timeout"], 0]);
  }
  const endless = poll(feed, "now", Number.POSITIVE_INFINITY);
  await pass(1e9);
  expect(endless.reasons).toEqual([]);
});

test("clients that do not come back use no slots, and at most as many as the waiters are kept", async () => {
  const feed = newFeed({ maxWaiters: 100 });
  for (let n = 0; n < 1000; n++) feed.cancel(poll(feed, "now", 1000, `page ${n}`));
  // Each slot has a timer.
  expect(vi.getTimerCount()).toBe(100);
  await pass(1050);
  for (let n = 0; n < 5000; n++) feed.cancel(poll(feed), "disconnected");
  expect([feed.waiting, vi.getTimerCount()]).toEqual([0, 0]);
});

test("a waiter that polls and pushes again from its answer gets the next events", async () => {
  const feed = newFeed();
  const ann = poll(feed, "now", 1000, "page");
  ann.onAnswer = ({ cursor }) => {
    ann.cursor = cursor;
    if (ann.events.length < 3) expect(feed.poll(ann)).toBe("held");
    if (ann.events.length === 1) feed.push("two");
  };
  feed.push("one");
  await pass(100);
  feed.push("three");
  await pass(100);
  expect([ann.events, feed.waiting]).toEqual([["one", "two", "three"], 0]);
});

test("drain answers each waiter once, also if an answer finishes another one", () => {
  const feed = newFeed();
  const waiters = [poll(feed), poll(feed, "now", 1000, "page"), poll(feed)];
  for (const waiter of waiters) waiter.onAnswer = () => waiters.forEach((other) => void feed.cancel(other));
  feed.drain();
  expect(waiters.map(({ reasons }) => reasons)).toEqual([["drained"], ["canceled"], ["canceled"]]);
});

test("waiters at one cursor share one encoded reply until the next event or forgetReplies", () => {
  const encode = vi.fn((batch: Batch<string>, events: string) => `${batch.cursor} ${events}`);
  const feed = newFeed({ encode });
  const reply = () => poll(feed, "0", 0).bodies[0];
  const first = feed.push("one");
  expect([reply(), reply()]).toEqual([`${first} ["one"]`, `${first} ["one"]`]);
  expect(encode).toHaveBeenCalledTimes(1);
  feed.forgetReplies();
  reply();
  expect(encode).toHaveBeenCalledTimes(2);
  const second = feed.push("two");
  expect(reply()).toBe(`${second} ["one","two"]`);
  poll(feed, second, 1000, "page");
  poll(feed, second, 0, "page");
  const superseded = { cursor: second, events: [], superseded: true };
  expect(encode.mock.calls.map(([batch]) => batch)).toContainEqual(superseded);
});

test("large bodies are one buffer for all waiters, and are forgotten beyond 4 MiB", () => {
  const encode = vi.fn((_: Batch<string>, events: string) => events);
  const feed = newFeed({ encode });
  // A client can send any cursor.
  const ids = Array.from({ length: 9 }, () => feed.push("é".repeat(300_000)));
  const [one, two] = [poll(feed, "0", 0).bodies[0], poll(feed, "0", 0).bodies[0]];
  expect([Buffer.isBuffer(one), two === one]).toEqual([true, true]);
  expect(JSON.parse(String(one))).toEqual(feed.read("0").events);
  for (const id of [...ids, ...ids]) poll(feed, id, 0);
  expect(encode.mock.calls.length).toBeGreaterThan(10);
});
