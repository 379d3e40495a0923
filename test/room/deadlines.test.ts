import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Deadlines, type Waiting } from "../../src/room/deadlines.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const TICK = 50;
let ended: Item[] = [];
let deadlines: Deadlines<Item>;
beforeEach(() => {
  ended = [];
  deadlines = new Deadlines((item) => {
    item.isWaiting = false;
    ended.push(item);
  });
});

class Item implements Waiting {
  due = 0;
  tick: number | undefined;
  isWaiting = true;
}

function wait(ms: number, item = new Item()): Item {
  item.isWaiting = true;
  deadlines.set(item, ms);
  return item;
}

test("a wait ends at its time, at the most a tick late, and never early", () => {
  for (const ms of [1, 49, 50, 51, 1_234, 60_000]) {
    const item = wait(ms);
    vi.advanceTimersByTime(ms - 1);
    expect(ended).not.toContain(item);
    vi.advanceTimersByTime(TICK + 1);
    expect(ended).toContain(item);
  }
});

test("waits of any order end in the order of their deadlines", () => {
  const [late, early, middle] = [wait(30_000), wait(100), wait(2_000)];
  vi.advanceTimersByTime(30_000 + TICK);
  expect(ended).toEqual([early, middle, late]);
});

test("who waits again before the end gets the whole time anew, and is told once", () => {
  const item = wait(10_000);
  for (let n = 0; n < 20; n++) {
    vi.advanceTimersByTime(7_000);
    item.isWaiting = false;
    wait(10_000, item);
  }
  vi.advanceTimersByTime(9_999);
  expect(ended).toEqual([]);
  vi.advanceTimersByTime(60_000);
  expect(ended).toEqual([item]);
});

test("who waits again for a shorter time is looked at in time, and once", () => {
  const item = wait(50_000);
  wait(1_000, item);
  vi.advanceTimersByTime(1_000 + TICK);
  expect(ended).toEqual([item]);
  vi.advanceTimersByTime(60_000);
  expect(ended).toEqual([item]);
});

test("who does not wait any more is told nothing", () => {
  wait(1_000).isWaiting = false;
  vi.advanceTimersByTime(2_000);
  expect(ended).toEqual([]);
});

test("who begins to wait again while others are told is not forgotten", () => {
  deadlines = new Deadlines((item) => {
    ended.push(item);
    if (ended.length < 5) deadlines.set(item, 1_000);
  });
  wait(1_000);
  vi.advanceTimersByTime(5 * (1_000 + TICK));
  expect(ended).toHaveLength(5);
});

test("ten thousand waits have one timer, and none when all have ended or were forgotten", () => {
  for (let n = 0; n < 10_000; n++) wait(25_000 + n);
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(35_000 + TICK);
  expect([ended.length, vi.getTimerCount()]).toEqual([10_000, 0]);
  const item = wait(1_000);
  deadlines.stop();
  expect(vi.getTimerCount()).toBe(0);
  wait(1_000, item);
  vi.advanceTimersByTime(1_000 + TICK);
  expect(ended.at(-1)).toBe(item);
});

test("a wait without end, after one that had one, ends never and costs no timer", () => {
  const item = wait(1_000);
  wait(Number.POSITIVE_INFINITY, item);
  vi.advanceTimersByTime(3_600_000);
  expect([ended, vi.getTimerCount()]).toEqual([[], 0]);
});
