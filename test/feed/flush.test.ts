/** The flush, with fake timers. Each answer moves the clock, so the test chooses the cost of a flush. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createFlush } from "../../src/feed/flush.js";

let work = 0;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
  work = 0;
  vi.spyOn(performance, "now").mockImplementation(() => Date.now() + work);
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** A flush over names; each answer costs `cost` milliseconds of work. */
function flushOf(cost: number) {
  let pending: string[] = [];
  const answered: string[] = [];
  let flushes = 0;
  const request = createFlush<string>(
    () => {
      flushes++;
      return pending.splice(0);
    },
    (name) => {
      work += cost;
      answered.push(name);
    },
  );
  return {
    answered,
    flushes: () => flushes,
    add(...names: string[]) {
      pending = [...pending, ...names];
      request();
    },
  };
}

/** Lets some milliseconds pass. */
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
/** Lets one turn of the event loop pass: what is due now, and what follows from it at once. */
const turn = () => pass(0);

/** Runs the next timer, and what awaits it. */
async function next(): Promise<void> {
  vi.advanceTimersToNextTimer();
  for (let n = 0; n < 10; n++) await Promise.resolve();
}

test("a quiet feed answers in the next turn of the event loop", async () => {
  const { add, answered } = flushOf(0);
  add("ann");
  expect(answered).toEqual([]);
  await turn();
  expect(answered).toEqual(["ann"]);
});

test("a flush answers all items that exist when it begins, and runs once for several requests", async () => {
  const { add, answered, flushes } = flushOf(1);
  add("ann");
  add("bob", "cyd");
  await turn();
  expect(answered).toEqual(["ann", "bob", "cyd"]);
  await vi.runAllTimersAsync();
  expect([flushes(), vi.getTimerCount()]).toEqual([1, 0]);
});

test("the cooldown is twice as long as the flush, and the items of that time are answered together", async () => {
  const { add, answered, flushes } = flushOf(6);
  add("ann");
  await turn();
  add("bob");
  await pass(5);
  add("cyd");
  await pass(6);
  expect(answered).toEqual(["ann"]);
  await pass(1);
  expect(answered).toEqual(["ann", "bob", "cyd"]);
  expect(flushes()).toBe(2);
});

test.each([
  ["1,000 answers or fewer", 1000, 40],
  ["more than 1,000 answers", 1001, 10],
])("a flush of %s lets the event loop run between two slices, and then continues", async (_, size, first) => {
  const { add, answered } = flushOf(1);
  const names = Array.from({ length: size }, (_, n) => `reader ${n}`);
  add(...names);
  await next();
  expect(answered).toHaveLength(first);
  await next();
  expect(answered).toHaveLength(first + 10);
  await vi.runAllTimersAsync();
  expect(answered).toEqual(names);
});

test("the cooldown counts the slices of a flush, and not the time between them", async () => {
  const { add, answered, flushes } = flushOf(1);
  add(...Array.from({ length: 45 }, (_, n) => `reader ${n}`));
  await next();
  // Other work between the two slices.
  work += 5000;
  await next();
  expect(answered).toHaveLength(45);
  add("ann");
  await pass(89);
  expect(flushes()).toBe(1);
  await pass(1);
  expect(answered.at(-1)).toBe("ann");
});

test("an item that is added between two slices waits for the next flush", async () => {
  const { add, answered, flushes } = flushOf(1);
  const names = Array.from({ length: 200 }, (_, n) => `reader ${n}`);
  add(...names);
  await next();
  add("zoe");
  await vi.runAllTimersAsync();
  expect(answered).toEqual([...names, "zoe"]);
  expect(flushes()).toBe(2);
});
