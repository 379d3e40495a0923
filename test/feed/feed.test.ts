/** A feed and its polls, without HTTP. The clock is fake, and answers move it, so a test chooses what a flush costs. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Batch, Feed, type FeedOptions, type FinishReason, type Id } from "../../src/feed/index.js";
import { Poll, poll } from "./poll.js";

/** Work that answers have done, in milliseconds. */
let work = 0;
/** Polls that were answered, in order. */
let answered: Poll<string>[] = [];

beforeEach(() => {
  [work, answered] = [0, []];
  vi.useFakeTimers({ now: Date.UTC(2030, 0, 1) });
  vi.spyOn(performance, "now").mockImplementation(() => Date.now() + work);
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

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
      work += cost;
      answered.push(held);
    };
    return held;
  });
}

test("a held poll is answered with the next event, in the next turn of the event loop", async () => {
  const feed = newFeed();
  const ann = poll(feed);
  const id = feed.push("hello");
  expect([ann.batches, feed.waiting]).toEqual([[], 1]);
  await flush();
  expect(ann.batches).toEqual([{ cursor: id, events: ["hello"] }]);
  expect([ann.reasons, feed.waiting]).toEqual([["events"], 0]);
});

test("a poll with a wait of 0 or NaN is answered in its call", () => {
  const feed = newFeed();
  const id = feed.push("one");
  for (const cursor of ["0", id, "now"] as const) {
    const waiter = new Poll<string>(cursor, cursor === id ? Number.NaN : 0);
    expect(feed.poll(waiter)).toBe("answered");
    expect(waiter.batches).toEqual([{ cursor: id, events: cursor === "0" ? ["one"] : [] }]);
    expect(waiter.reasons).toEqual(["timeout"]);
  }
});

test("a poll since 0 has no gap, although events are pruned before its answer", async () => {
  const feed = newFeed({ backlog: 2 });
  const ann = poll(feed, "0");
  for (const event of ["a", "b", "c"]) feed.push(event);
  await flush();
  expect(ann.batches).toEqual([{ cursor: feed.lastId, events: ["b", "c"] }]);
});

test("a poll with a cursor in the future is held until an event after it comes", async () => {
  const feed = newFeed({ clockSkew: 60_000 });
  const future: Id = `${Date.now() + 5000}-0`;
  const ann = poll(feed, future);
  feed.push("earlier");
  await flush();
  feed.push("this one", future);
  await pass(1);
  expect(ann.batches).toEqual([]);
  const id = feed.push("later");
  await pass(1);
  expect(ann.batches).toEqual([{ cursor: id, events: ["later"] }]);
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
  ["more than 1,000 answers", 1001, 10],
])("a flush of %s lets the event loop run between two slices, and then continues", async (_, size, first) => {
  const feed = newFeed();
  const polls = hold(feed, size);
  feed.push("one");
  await next();
  expect(answered).toHaveLength(first);
  await next();
  expect(answered).toHaveLength(first + 10);
  // A poll that comes between two slices waits for the next flush.
  const late = poll(feed, "0");
  while (answered.length < size) await next();
  expect([answered.length, late.batches]).toEqual([polls.length, []]);
  await pass(3 * size);
  expect(late.events).toEqual(["one"]);
});

test("the cooldown counts the slices of a flush, and not the time between them", async () => {
  const feed = newFeed();
  hold(feed, 45);
  feed.push("one");
  await next();
  // Other work between the two slices.
  work += 5000;
  await next();
  expect(answered).toHaveLength(45);
  const ann = poll(feed, "0");
  await pass(89);
  expect(ann.batches).toEqual([]);
  await pass(1);
  expect(ann.events).toEqual(["one"]);
});

test("a poll over the limit is full and not answered, and a newer poll of a held client is held", async () => {
  const feed = newFeed({ maxWaiters: 1 });
  poll(feed, "now", 1000, "page");
  const extra = new Poll<string>();
  expect(feed.poll(extra)).toBe("full");
  expect(feed.poll(new Poll("now", 1000, "page"))).toBe("held");
  expect(feed.poll(new Poll("now", 0))).toBe("answered");
  feed.push("one");
  feed.close();
  await vi.runAllTimersAsync();
  expect([extra.batches, extra.reasons]).toEqual([[], []]);
});

test("a poll that the answer of the poll before it finishes is reported as answered", () => {
  const feed = newFeed();
  const older = poll(feed, "now", 1000, "page");
  const newer = new Poll<string>("now", 1000, "page");
  older.onAnswer = () => feed.cancel(newer);
  expect(feed.poll(newer)).toBe("answered");
  expect([newer.reasons, feed.waiting]).toEqual([["canceled"], 0]);
});

test.each<FeedOptions<string>>([
  ...[{ backlog: Number.NaN }, { backlog: 0 }, { maxWaiters: Number.NaN }, { maxWaiters: 0 }],
  ...[{ clockSkew: Number.NaN }, { clockSkew: -1 }],
])("a feed with %j throws a RangeError", (options) => {
  expect(() => newFeed(options)).toThrow(RangeError);
});

test("a held waiter cannot be polled again, and a finished one can", async () => {
  const feed = newFeed();
  const ann = poll(feed);
  expect(() => feed.poll(ann)).toThrow("held already");
  feed.push("one");
  await flush();
  ann.cursor = feed.lastId;
  expect(feed.poll(ann)).toBe("held");
  feed.push("two");
  await pass(50);
  expect(ann.events).toEqual(["one", "two"]);
});

test("a held waiter whose cursor is moved past an event is answered with the next one", async () => {
  const feed = newFeed();
  const [ann, bob] = [poll(feed), poll(feed)];
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
    await pass(wait);
    expect([ann.reasons, feed.waiting]).toEqual([[], 1]);
    await pass(50);
    expect([ann.reasons, feed.waiting]).toEqual([["timeout"], 0]);
  }
  const endless = poll(feed, "now", Number.POSITIVE_INFINITY);
  await pass(1e9);
  expect(endless.reasons).toEqual([]);
});

test.each<[FinishReason, (feed: Feed<string>, waiter: Poll<string>) => unknown]>([
  ["events", (feed) => feed.push("one")],
  ["timeout", () => pass(1050)],
  ["superseded", (feed) => poll(feed, "now", 1000, "page")],
  ["canceled", (feed, waiter) => feed.cancel(waiter)],
  ["disconnected", (feed, waiter) => feed.cancel(waiter, "disconnected")],
  ["drained", (feed) => feed.drain()],
])("a waiter that is finished for %s is not finished again", async (reason, finish) => {
  const feed = newFeed();
  const ann = poll(feed, "now", 1000, "page");
  await finish(feed, ann);
  await flush();
  feed.cancel(ann);
  feed.cancel(ann, "disconnected");
  // The end of a superseded poll does not finish the newer one.
  expect(feed.waiting).toBe(reason === "superseded" ? 1 : 0);
  feed.push("two");
  feed.close();
  await vi.runAllTimersAsync();
  expect([ann.reasons, ann.batches.length]).toEqual([[reason], reason === "disconnected" ? 0 : 1]);
  expect([feed.waiting, vi.getTimerCount()]).toEqual([0, 0]);
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

test("drain answers all waiters with a retry of at most two seconds, and every later poll at once", () => {
  const feed = newFeed();
  feed.push("one");
  const waiters = Array.from({ length: 200 }, () => poll(feed, "0"));
  feed.drain();
  waiters.push(poll(feed, "0"), poll(feed, "0", 0));
  const retries = waiters.map(({ batches: [batch] }) => {
    expect(batch).toEqual({ cursor: feed.lastPrunedId, events: [], retry: expect.any(Number) });
    return batch?.retry ?? -1;
  });
  expect(Math.min(...retries)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...retries)).toBeLessThanOrEqual(2000);
  expect(new Set(retries).size).toBeGreaterThan(100);
  expect([waiters.every(({ reasons }) => reasons.join() === "drained"), feed.waiting]).toEqual([true, 0]);
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

test("cached replies of more than 4 MiB are forgotten, because a client can send any cursor", () => {
  const encode = vi.fn((_: Batch<string>, events: string) => events);
  const feed = newFeed({ encode });
  const ids = Array.from({ length: 9 }, () => feed.push("x".repeat(600_000)));
  for (const id of [...ids, ...ids]) poll(feed, id, 0);
  expect(encode.mock.calls.length).toBeGreaterThan(9);
});

test("a large body is one buffer for all waiters, and a small body is text", () => {
  const feed = newFeed();
  feed.push("é".repeat(70_000));
  const [one, two] = [poll(feed, "0", 0).bodies[0], poll(feed, "0", 0).bodies[0]];
  expect([Buffer.isBuffer(one), two === one]).toEqual([true, true]);
  expect(JSON.parse(String(one))).toEqual(feed.read("0"));
  expect(poll(feed, "now", 0).bodies).toEqual([`${JSON.stringify(feed.read("now"))}\n`]);
});

test.each<[string, (feed: Feed<string>, broken: Poll<string>) => unknown]>([
  ["a flush", (feed) => feed.push("one")],
  ["its time-out", () => pass(10_050)],
  ["a cancel", (feed, broken) => feed.cancel(broken)],
  ["a newer poll", (feed) => poll(feed, "now", 0, "page")],
  ["a drain", (feed) => feed.drain()],
])(
  "an answer in %s that throws goes to onError with its waiter, and others are answered",
  async (_, finish) => {
    const onError = vi.fn();
    const feed = newFeed({ onError });
    const before = poll(feed);
    const broken = poll(feed, "now", 10_000, "page");
    broken.onAnswer = () => {
      throw new Error("broken");
    };
    const after = poll(feed);
    await finish(feed, broken);
    await pass(10_050);
    expect(onError.mock.calls).toEqual([[new Error("broken"), broken]]);
    const counts = [before, broken, after].flatMap(({ batches, reasons }) => [
      batches.length,
      reasons.length,
    ]);
    expect([counts, feed.waiting]).toEqual([[1, 1, 1, 1, 1, 1], 0]);
  },
);

test("a finished, encode or onError that throws leaves all other waiters answered", async () => {
  const uncaught: unknown[] = [];
  vi.spyOn(globalThis, "queueMicrotask").mockImplementation((task) => {
    void Promise.resolve()
      .then(task)
      .catch((error) => uncaught.push(error));
  });
  const feed = newFeed({
    onError() {
      throw new Error("from onError");
    },
    encode: (_, events) => {
      if (events.includes("bad")) throw new Error("from encode");
      return events;
    },
  });
  const [first, second] = [poll(feed), poll(feed)];
  first.finished = () => {
    throw new Error("from finished");
  };
  feed.push("good");
  await flush();
  expect([first.events, second.events, uncaught]).toEqual([[], ["good"], [new Error("from onError")]]);
  const third = poll(feed);
  feed.push("bad");
  await pass(50);
  expect([third.batches, uncaught.length, feed.waiting]).toEqual([[], 2, 0]);
});
