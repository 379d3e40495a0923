/** The waiter map: each waiter is finished once. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Waiters } from "../../src/feed/waiters.js";
import { Poll } from "./poll.js";

let waiters: Waiters<string>;
let finished: string[];
/** Runs when a waiter is finished. */
let onFinish: () => void;
const names = new Map<object, string>();

beforeEach(() => {
  vi.useFakeTimers();
  finished = [];
  onFinish = () => {};
  waiters = newWaiters(100);
});

afterEach(() => {
  vi.useRealTimers();
});

function newWaiters(max: number): Waiters<string> {
  return new Waiters(max, (waiter, reason) => {
    finished.push(`${names.get(waiter)} ${reason}`);
    onFinish();
  });
}

function hold(name: string, client?: string, wait = 1000): Poll<string> {
  const waiter = new Poll<string>("0", wait, client);
  names.set(waiter, name);
  waiters.hold(waiter);
  return waiter;
}

test("a waiter is held for its wait, and at most 50 ms longer", () => {
  for (const wait of [0.4, 1, 7.5, 999, 1000, 60_000]) {
    finished = [];
    hold("ann", "page", wait);
    vi.advanceTimersByTime(wait);
    expect([finished, waiters.size]).toEqual([[], 1]);
    vi.advanceTimersByTime(50);
    expect([finished, waiters.size]).toEqual([["ann timeout"], 0]);
  }
});

test("the next poll of a client has its whole wait, although the one before ended early", () => {
  for (const wait of [1000, 1000, 600, 1000]) {
    const waiter = hold("ann", "page", wait);
    vi.advanceTimersByTime(500);
    waiters.finish(waiter, "events");
  }
  hold("ann", "page");
  vi.advanceTimersByTime(1000);
  expect(finished.filter((line) => line.includes("timeout"))).toEqual([]);
  vi.advanceTimersByTime(50);
  expect(finished.at(-1)).toBe("ann timeout");
});

test("a wait may be longer than the longest timer", () => {
  hold("ann", undefined, Number.POSITIVE_INFINITY);
  vi.advanceTimersByTime(1e9);
  expect(waiters.size).toBe(1);
});

test("a waiter is finished once, for the first reason", () => {
  const reasons = ["events", "timeout", "superseded", "canceled", "disconnected", "drained"] as const;
  for (const reason of reasons) {
    for (const client of [undefined, "page"]) {
      finished = [];
      const waiter = hold("ann", client);
      waiters.finish(waiter, reason);
      for (const later of reasons) waiters.finish(waiter, later);
      vi.runAllTimers();
      waiters.finishAll("drained");
      expect([finished, waiters.size]).toEqual([[`ann ${reason}`], 0]);
    }
  }
});

test("a newer poll supersedes the older one, and finishing the older one again does not finish it", () => {
  const older = hold("older", "page");
  const newer = hold("newer", "page");
  expect([finished, waiters.size, waiters.all()]).toEqual([["older superseded"], 1, [newer]]);
  waiters.finish(older, "disconnected");
  expect(waiters.all()).toEqual([newer]);
  vi.runAllTimers();
  expect(finished).toEqual(["older superseded", "newer timeout"]);
});

test("a client that polls again from its answer is held, also from a superseded answer", () => {
  onFinish = () => {
    onFinish = () => {};
    hold("third", "page");
  };
  hold("first", "page");
  hold("second", "page");
  expect([finished, waiters.size]).toEqual([["first superseded", "second superseded"], 1]);
  vi.runAllTimers();
  expect(finished.at(-1)).toBe("third timeout");
});

test("finishAll finishes each waiter once and leaves no timer, also if an answer finishes another one", () => {
  const ann = hold("ann");
  const bob = hold("bob", "page");
  hold("cyd", "other page");
  onFinish = () => {
    waiters.finish(ann, "canceled");
    waiters.finish(bob, "canceled");
  };
  waiters.finishAll("drained");
  expect(finished.sort()).toEqual(["ann drained", "bob canceled", "cyd drained"]);
  expect([waiters.size, vi.getTimerCount()]).toEqual([0, 0]);
});

test("5,000 disconnected polls leave no waiter, and no timer after their wait", () => {
  const all = Array.from({ length: 5000 }, (_, n) => hold("ann", n % 2 ? `page ${n}` : undefined));
  for (const waiter of all) waiters.finish(waiter, "disconnected");
  expect(waiters.size).toBe(0);
  vi.advanceTimersByTime(1050);
  expect(vi.getTimerCount()).toBe(0);
});

test("clients that do not come back after their wait use no slots", () => {
  for (let n = 0; n < 100; n++) hold("ann", `page ${n}`);
  vi.advanceTimersByTime(2100);
  // With 100 other clients remembered, this one would be one too many.
  waiters.finish(hold("bob", "page"), "events");
  expect(vi.getTimerCount()).toBe(1);
});

test("the slots of at most the maximum of clients are kept", () => {
  for (let n = 0; n < 1000; n++) waiters.finish(hold("ann", `page ${n}`), "events");
  expect(vi.getTimerCount()).toBe(100);
});
