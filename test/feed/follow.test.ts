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

test("a slow follower gets larger batches or a gap, and another one continues from the cursor of a batch", async () => {
  const feed = new Feed<number>({ backlog: 1500 });
  const batches = feed.follow();
  const events = Array.from({ length: 2500 }, (_, n) => feed.push(n) && n).slice(1000);
  const { value } = await batches.next();
  expect(value).toMatchObject({ events: events.slice(0, 1000), gap: true });
  expect(await take(feed.follow({ since: value?.cursor ?? "0" }), 500)).toEqual(events.slice(1000));
});

test("a follower ends with its signal, and has one listener on it while it waits", async () => {
  const feed = new Feed<number>();
  const abort = new AbortController();
  const { signal } = abort;
  const batches = feed.follow({ signal });
  const other = take(feed.follow(), 100);
  const result = take(batches, 100);
  for (let n = 0; n < 99; n++) {
    await turn();
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    feed.push(n);
  }
  await turn();
  abort.abort();
  expect(await result).toHaveLength(99);
  expect(getEventListeners(signal, "abort")).toEqual([]);
  feed.push(99);
  expect(await batches.next()).toEqual(over);
  expect(await feed.follow({ since: "0", signal }).next()).toEqual(over);
  expect(await other).toHaveLength(100);
});
