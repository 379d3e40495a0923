/** Followers: code in the process that reads a feed. */
import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { type Batch, Feed } from "../../src/feed/index.js";

const over = { done: true, value: undefined };
const turn = () => new Promise((resolve) => setImmediate(resolve));

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
  await turn();
  feed.push(3);
  expect(await taken).toEqual([1, 2, 3]);
  expect(await batches.next()).toEqual(over);
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

test("a follower ends with its signal, before the call and while it waits, and others continue", async () => {
  const feed = new Feed<number>();
  const abort = new AbortController();
  const { signal } = abort;
  const batches = feed.follow({ signal });
  const result = batches.next();
  const other = feed.follow().next();
  abort.abort();
  expect(await result).toEqual(over);
  feed.push(1);
  expect(await batches.next()).toEqual(over);
  expect(await feed.follow({ since: "0", signal }).next()).toEqual(over);
  expect((await other).value?.events).toEqual([1]);
});

test("a follower has one listener on its signal while it waits, and none in the end", async () => {
  const feed = new Feed<number>();
  const { signal } = new AbortController();
  const taken = take(feed.follow({ signal }), 100);
  for (let n = 0; n < 100; n++) {
    await turn();
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    feed.push(n);
  }
  await taken;
  expect(getEventListeners(signal, "abort")).toEqual([]);
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
});
