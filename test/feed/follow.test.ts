/** Followers: code in the process that reads a feed. */
import { expect, test } from "vitest";
import { type Batch, Feed } from "../../src/feed/index.js";

const over = { done: true, value: undefined };

/** Reads until `count` events have come. */
async function take(batches: AsyncIterable<Batch<number>>, count: number): Promise<number[]> {
  const found: number[] = [];
  for await (const { events } of batches) {
    found.push(...events);
    if (found.length >= count) break;
  }
  return found;
}

test("a follower gets the events after the call, in order", async () => {
  const feed = new Feed<number>();
  feed.push(0);
  const batches = feed.follow();
  feed.push(1);
  feed.push(2);
  const taken = take(batches, 3);
  await Promise.resolve();
  feed.push(3);
  expect(await taken).toEqual([1, 2, 3]);
});

test("a slow follower gets larger batches, and another one continues from the cursor of a batch", async () => {
  const feed = new Feed<number>({ backlog: 5000 });
  const batches = feed.follow();
  const all = Array.from({ length: 2500 }, (_, n) => feed.push(n) && n);
  const first = await batches.next();
  const rest = await take(feed.follow({ since: first.value?.cursor ?? "0" }), 1500);
  expect([first.value?.events.length, [...(first.value?.events ?? []), ...rest]]).toEqual([1000, all]);
});

test("a follower that is further behind than the backlog gets a gap", async () => {
  const feed = new Feed<number>({ backlog: 2 });
  const batches = feed.follow();
  for (let n = 0; n < 4; n++) feed.push(n);
  expect((await batches.next()).value).toEqual({ cursor: feed.lastId, events: [2, 3], gap: true });
});

test("several calls of next get batches in their order", async () => {
  const feed = new Feed<number>();
  const batches = feed.follow();
  const results = [batches.next(), batches.next(), batches.next()];
  for (let n = 1; n <= 3; n++) {
    await new Promise((resolve) => setImmediate(resolve));
    feed.push(n);
  }
  expect((await Promise.all(results)).map(({ value }) => value?.events)).toEqual([[1], [2], [3]]);
});

test("a follower ends with its signal, before the call and while it waits", async () => {
  const feed = new Feed<number>();
  const abort = new AbortController();
  const batches = feed.follow({ signal: abort.signal });
  const other = feed.follow();
  const results = [batches.next(), batches.next()];
  const otherResult = other.next();
  abort.abort();
  for (const result of results) expect(await result).toEqual(over);
  feed.push(1);
  expect(await batches.next()).toEqual(over);
  expect(await feed.follow({ since: "0", signal: abort.signal }).next()).toEqual(over);
  expect((await otherResult).value?.events).toEqual([1]);
});

test("a follower leaves no listener on its signal", async () => {
  const feed = new Feed<number>();
  const { signal } = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    listeners++;
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    listeners--;
    removeEventListener.apply(signal, args);
  };
  const taken = take(feed.follow({ signal }), 100);
  for (let n = 0; n < 100; n++) {
    await new Promise((resolve) => setImmediate(resolve));
    expect(listeners).toBe(1);
    feed.push(n);
  }
  await taken;
  expect(listeners).toBe(0);
});

test("a follower ends with return, also while it waits", async () => {
  const feed = new Feed<number>();
  const batches = feed.follow();
  const result = batches.next();
  await Promise.resolve();
  expect(await batches.return?.()).toEqual(over);
  expect(await result).toEqual(over);
  feed.push(1);
  expect(await batches.next()).toEqual(over);
});

test("drain does not end a follower, and close does after everything is read", async () => {
  const feed = new Feed<number>();
  const [quick, slow] = [feed.follow(), feed.follow()];
  const result = quick.next();
  feed.drain();
  feed.push(1);
  expect((await result).value?.events).toEqual([1]);
  const last = quick.next();
  feed.close();
  expect(await last).toEqual(over);
  expect(await take(slow, 9)).toEqual([1]);
  expect((await feed.follow({ since: "0" }).next()).value?.events).toEqual([1]);
});
