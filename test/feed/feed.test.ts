/** A feed and its polls, without HTTP. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Batch, Feed, type FeedOptions, type Id, type Waiter } from "../../src/feed/index.js";
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

test("a poll that already has news is answered by the next flush", async () => {
  const feed = newFeed();
  feed.push("one");
  const waiter = new Poll<string>("0");
  expect(feed.poll(waiter)).toBe("held");
  expect(waiter.batches).toEqual([]);
  await flush();
  expect(waiter.events).toEqual(["one"]);
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

test("a newer poll of a client supersedes the older one, which gets its cursor and no events", async () => {
  const feed = newFeed();
  const id = feed.push("one");
  const older = poll(feed, "0", 1000, "page");
  const newer = poll(feed, "0", 1000, "page");
  expect(older.batches).toEqual([{ cursor: feed.lastPrunedId, events: [], superseded: true }]);
  expect([older.reasons, feed.waiting]).toEqual([["superseded"], 1]);
  const newest = poll(feed, id, 0, "page");
  expect(newer.batches[0]?.superseded).toBe(true);
  expect(newest.batches).toEqual([{ cursor: id, events: [] }]);
  expect(feed.waiting).toBe(0);
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

test("a canceled poll is answered at once, and a disconnected one is not answered", () => {
  const feed = newFeed();
  const [ann, bob] = [poll(feed), poll(feed)];
  feed.cancel(ann);
  feed.cancel(bob, "disconnected");
  feed.cancel(bob);
  expect([ann.batches, ann.reasons]).toEqual([[{ cursor: feed.lastId, events: [] }], ["canceled"]]);
  expect([bob.batches, bob.reasons]).toEqual([[], ["disconnected"]]);
  expect(feed.waiting).toBe(0);
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

test("the cache of replies has a bound", () => {
  const encode = vi.fn(() => "x".repeat(1024 * 1024 - 1024));
  const feed = newFeed({ encode });
  const ask = (n: number) => void poll(feed, `${n}-0`, 0);
  for (let n = 0; n < 4; n++) ask(n);
  for (let n = 0; n < 4; n++) ask(n);
  expect(encode).toHaveBeenCalledTimes(4);
  ask(4);
  for (let n = 0; n < 4; n++) ask(n);
  expect(encode).toHaveBeenCalledTimes(4 + 1 + 4);
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

test("an answer that throws goes to onError with its waiter, and all other waiters are answered", async () => {
  const errors: [unknown, Waiter<string> | undefined][] = [];
  const feed = newFeed({ onError: (error, waiter) => errors.push([error, waiter]) });
  const waiters = Array.from({ length: 5 }, () => poll(feed));
  for (const broken of [1, 3]) {
    Object.assign(waiters[broken] ?? {}, {
      onAnswer() {
        throw new Error(`broken ${broken}`);
      },
    });
  }
  feed.push("one");
  await flush();
  expect(waiters.map(({ events }) => events)).toEqual(waiters.map(() => ["one"]));
  expect(errors).toEqual([
    [new Error("broken 1"), waiters[1]],
    [new Error("broken 3"), waiters[3]],
  ]);
  // The next flush, a timer, a drain and poll itself are no different.
  for (const finish of [
    () => feed.push("two"),
    () => pass(10_050),
    () => feed.cancel(broken),
    () => void poll(feed, "now", 0, "page"),
    () => feed.drain(),
  ]) {
    errors.length = 0;
    broken = new Poll("now", 10_000, "page");
    broken.onAnswer = () => {
      throw new Error("broken");
    };
    feed.poll(broken);
    const healthy = poll(feed);
    await finish();
    feed.cancel(healthy);
    await pass(100);
    expect(errors).toEqual([[new Error("broken"), broken]]);
    expect([broken.reasons.length, healthy.batches.length, feed.waiting]).toEqual([1, 1, 0]);
  }
});

let broken: Poll<string>;

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

test("an error goes to the console without onError", async () => {
  const log = vi.spyOn(console, "error").mockImplementation(() => {});
  const feed = newFeed();
  poll(feed).onAnswer = () => {
    throw new Error("broken");
  };
  feed.push("one");
  await flush();
  expect(log.mock.calls).toEqual([[new Error("broken")]]);
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
