/** A feed and its polls, without HTTP. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  type Batch,
  Feed,
  type FeedOptions,
  type FinishReason,
  type Id,
  type Waiter,
} from "../../src/feed/index.js";
import { Poll, poll } from "./poll.js";

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2030, 0, 1) });
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** Lets the flush that is due happen. */
const flush = () => vi.advanceTimersByTimeAsync(0);
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

const newFeed = (options: FeedOptions<string> = {}) => new Feed<string>(options);

test("a held poll is answered with the next event, after the call of push", async () => {
  const feed = newFeed();
  const ann = poll(feed);
  expect(feed.waiting).toBe(1);
  const id = feed.push("hello");
  expect(ann.batches).toEqual([]);
  await flush();
  expect(ann.batches).toEqual([{ cursor: id, events: ["hello"] }]);
  expect([ann.reasons, feed.waiting]).toEqual([["events"], 0]);
});

test("an event between two polls is in the backlog, and the next poll gets it with the next flush", async () => {
  const feed = newFeed();
  const first = poll(feed);
  feed.push("one");
  await flush();
  feed.push("two");
  const second = poll(feed, first.batches[0]?.cursor);
  expect([feed.waiting, second.batches]).toEqual([1, []]);
  await flush();
  expect(second.events).toEqual(["two"]);
});

test("a poll with a wait of 0 is answered in its call", () => {
  const feed = newFeed();
  const id = feed.push("one");
  for (const cursor of ["0", id, "now"] as const) {
    const waiter = new Poll<string>(cursor, 0);
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

test("a reset answers a held poll that is not in the snapshot with a gap", async () => {
  const feed = newFeed();
  const [one, two] = [feed.push("one"), feed.push("two")];
  const ann = poll(feed, two);
  feed.reset({ lastPrunedId: one, events: [] });
  await flush();
  expect(ann.batches).toEqual([{ cursor: one, events: [], gap: true }]);
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

test("a wait or a limit that is not a number is 0", () => {
  const feed = newFeed();
  for (const event of ["one", "two"]) feed.push(event);
  expect(feed.poll(new Poll<string>("now", Number.NaN))).toBe("answered");
  expect(feed.read("0", { limit: Number.NaN }).events).toEqual(["one"]);
  expect(feed.readBefore("now", Number.NaN)).toEqual({ events: [], more: true });
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
  const id = feed.push("ann joined");
  ann.cursor = id;
  await flush();
  expect([ann.batches, bob.events]).toEqual([[], ["ann joined"]]);
  feed.push("hello");
  await pass(50);
  expect(ann.events).toEqual(["hello"]);
});

test("a waiter is held for its wait, and at most 50 ms longer", async () => {
  const feed = newFeed();
  for (const wait of [0.4, 1, 7.5, 999, 1000, 60_000]) {
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

test("the next poll of a client has its whole wait, although the one before ended early", async () => {
  const feed = newFeed();
  for (const wait of [1000, 1000, 600, 1000]) {
    const early = poll(feed, "now", wait, "page");
    await pass(500);
    feed.cancel(early);
  }
  const ann = poll(feed, "now", 1000, "page");
  await pass(1000);
  expect(ann.reasons).toEqual([]);
  await pass(50);
  expect(ann.reasons).toEqual(["timeout"]);
});

test.each<[FinishReason, (feed: Feed<string>, waiter: Poll<string>) => unknown]>([
  ["events", (feed) => feed.push("one")],
  ["timeout", () => pass(1050)],
  ["superseded", (feed) => poll(feed, "now", 0, "page")],
  ["canceled", (feed, waiter) => feed.cancel(waiter)],
  ["disconnected", (feed, waiter) => feed.cancel(waiter, "disconnected")],
  ["drained", (feed) => feed.drain()],
])("a waiter that is finished for %s is not finished again", async (reason, finish) => {
  const feed = newFeed();
  const ann = poll(feed, "now", 1000, "page");
  await finish(feed, ann);
  await flush();
  feed.push("two");
  feed.cancel(ann);
  feed.cancel(ann, "disconnected");
  feed.close();
  await vi.runAllTimersAsync();
  expect([ann.reasons, ann.batches.length]).toEqual([[reason], reason === "disconnected" ? 0 : 1]);
  expect([feed.waiting, vi.getTimerCount()]).toEqual([0, 0]);
});

test("a superseded poll gets its own cursor and no events, and its end does not finish the newer one", () => {
  const feed = newFeed();
  feed.push("one");
  const older = poll(feed, "0", 1000, "page");
  const newer = poll(feed, "0", 1000, "page");
  expect(older.batches).toEqual([{ cursor: feed.lastPrunedId, events: [], superseded: true }]);
  feed.cancel(older, "disconnected");
  expect([newer.reasons, feed.waiting]).toEqual([[], 1]);
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

test("a waiter that polls again from its answer gets the next event", async () => {
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
  const id = feed.push("one");
  const waiters = Array.from({ length: 200 }, () => poll(feed, id));
  const behind = poll(feed, "0");
  feed.drain();
  waiters.push(poll(feed, id), poll(feed, id, 0));
  const retries = waiters.map(({ batches: [batch] }) => {
    expect(batch).toEqual({ cursor: id, events: [], retry: expect.any(Number) });
    return batch?.retry ?? -1;
  });
  expect(behind.batches).toEqual([{ cursor: feed.lastPrunedId, events: [], retry: expect.any(Number) }]);
  expect(Math.min(...retries)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...retries)).toBeLessThanOrEqual(2000);
  expect(new Set(retries).size).toBeGreaterThan(100);
  expect(waiters.every(({ reasons }) => reasons.join() === "drained")).toBe(true);
  expect(feed.waiting).toBe(0);
});

test("drain answers each waiter once, also if an answer finishes another one", () => {
  const feed = newFeed();
  const waiters = [poll(feed), poll(feed, "now", 1000, "page"), poll(feed)];
  for (const waiter of waiters) waiter.onAnswer = () => waiters.forEach((other) => void feed.cancel(other));
  feed.drain();
  expect(waiters.map(({ reasons }) => reasons)).toEqual([["drained"], ["canceled"], ["canceled"]]);
  expect(feed.waiting).toBe(0);
});

test("waiters at one cursor share one encoded reply until the next event or forgetReplies", async () => {
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
  expect(encode).toHaveBeenCalledTimes(3);
  poll(feed, second, 1000, "page");
  poll(feed, second, 0, "page");
  expect(encode.mock.calls.map(([batch]) => batch)).toContainEqual({
    cursor: second,
    events: [],
    superseded: true,
  });
});

test("a large body is one buffer for all waiters, and a small body is text", () => {
  const feed = newFeed();
  feed.push("é".repeat(70_000));
  const [one, two] = [poll(feed, "0", 0).bodies[0], poll(feed, "0", 0).bodies[0]];
  if (typeof one !== "object") throw new Error("the body is no buffer");
  expect(two).toBe(one);
  expect(JSON.parse(one.toString())).toEqual(feed.read("0"));
  expect(poll(feed, "now", 0).bodies).toEqual([`${JSON.stringify(feed.read("now"))}\n`]);
});

test.each<[string, (feed: Feed<string>, broken: Poll<string>) => unknown]>([
  ["a flush", (feed) => feed.push("one")],
  ["its time-out", () => pass(10_050)],
  ["a cancel", (feed, broken) => feed.cancel(broken)],
  ["a newer poll", (feed) => poll(feed, "now", 0, "page")],
  ["a drain", (feed) => feed.drain()],
])(
  "an answer in %s that throws goes to onError with its waiter, and all others are answered",
  async (_, finish) => {
    const errors: [unknown, Waiter<string> | undefined][] = [];
    const feed = newFeed({ onError: (error, waiter) => errors.push([error, waiter]) });
    const before = poll(feed);
    const broken = poll(feed, "now", 10_000, "page");
    broken.onAnswer = () => {
      throw new Error("broken");
    };
    const after = poll(feed);
    await finish(feed, broken);
    await pass(10_050);
    expect(errors).toEqual([[new Error("broken"), broken]]);
    const counts = [before, broken, after].map(({ batches, reasons }) => [batches.length, reasons.length]);
    expect(counts).toEqual([
      [1, 1],
      [1, 1],
      [1, 1],
    ]);
    expect(feed.waiting).toBe(0);
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

test("an event that is pushed from an answer is delivered by the next flush", async () => {
  const feed = newFeed();
  const [ann, bob] = [poll(feed), poll(feed)];
  ann.onAnswer = () => void feed.push("two");
  feed.push("one");
  await flush();
  expect(bob.events).toEqual(["one", "two"]);
  const next = poll(feed, ann.batches[0]?.cursor);
  await pass(50);
  expect(next.events).toEqual(["two"]);
});
