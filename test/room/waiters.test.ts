/** The waiter map: one way out, taken once. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Cursor } from "../../src/room/backlog.js";
import { Deadlines } from "../../src/room/deadlines.js";
import { Waiter, Waiters } from "../../src/room/waiters.js";
import { compareIds, type Id } from "../../src/store/id.js";

let end: Id;
let waiters: Waiters;
let told: string[];
/** Who comes back as soon as it is let go. */
let again: Waiter | undefined;

class Poll extends Waiter {
  answer(): void {}
}

beforeEach(() => {
  vi.useFakeTimers();
  end = "5-0";
  told = [];
  again = undefined;
  waiters = new Waiters({
    isBehind: ({ cursor }) => cursor !== "now" && (cursor === "0" || compareIds(cursor, end) < 0),
    settled: ({ user }, ending) => {
      told.push(`${user} ${ending}`);
      const next = again;
      again = undefined;
      if (next) waiters.hold(next);
    },
  });
});

afterEach(() => {
  vi.useRealTimers();
});

function hold(user: string, client?: string, cursor: Cursor = end, wait = 1000): Waiter {
  const waiter = new Poll(user, cursor, wait, client);
  waiters.supersede(waiter);
  waiters.hold(waiter);
  return waiter;
}

function message(id: Id): void {
  end = id;
  waiters.wake();
}

/** How late a wait may end. */
const TICK = 50;

const turn = () => vi.advanceTimersByTime(0);

test("a waiter that has seen everything is held until its wait ends, and no longer", () => {
  hold("ann");
  vi.advanceTimersByTime(999);
  expect([told, waiters.size]).toEqual([[], 1]);
  vi.advanceTimersByTime(1);
  expect([told, waiters.size]).toEqual([["ann time-out"], 0]);
});

test("a message lets everybody go, in one round", () => {
  hold("ann");
  hold("bob");
  message("6-0");
  turn();
  expect(told).toEqual(["ann message", "bob message"]);
  expect(waiters.size).toBe(0);
});

test("a poll that comes behind is not held to the end of its wait: the next round has it", () => {
  hold("ann", "page", "1-0");
  turn();
  expect(told).toEqual(["ann message"]);
});

test("whoever is held between a message and its round is in the round, if behind, and else stays", () => {
  hold("ann");
  message("6-0");
  hold("bob", undefined, "5-0");
  hold("cyd", undefined, "6-0");
  turn();
  expect(told).toEqual(["ann message", "bob message"]);
  expect(waiters.size).toBe(1);
});

test("a waiter that comes back behind during the round is answered by another round", () => {
  hold("ann", "page");
  again = new Poll("ann again", "5-0", 1000, "page");
  message("6-0");
  turn();
  expect(told).toEqual(["ann message"]);
  vi.advanceTimersByTime(100);
  expect(told).toEqual(["ann message", "ann again message"]);
});

test("every way out is taken once, whatever follows it", () => {
  const endings = ["message", "time-out", "superseded", "left", "gone", "drained"] as const;
  for (const ending of endings) {
    told = [];
    const waiter = hold("ann", "page");
    waiters.settle(waiter, ending);
    for (const later of endings) waiters.settle(waiter, later);
    message(`${Number(end.split("-")[0]) + 1}-0`);
    vi.runAllTimers();
    waiters.drain();
    expect(told).toEqual([`ann ${ending}`]);
    expect([waiters.size, vi.getTimerCount()]).toEqual([0, 0]);
  }
});

test("a waiter that goes between the message and its round is not answered by the round", () => {
  const waiter = hold("ann");
  message("6-0");
  waiters.settle(waiter, "gone");
  vi.runAllTimers();
  expect(told).toEqual(["ann gone"]);
});

test("the wait may end between the message and its round; the waiter is told once", () => {
  hold("ann", undefined, end, 1);
  message("6-0");
  vi.runAllTimers();
  expect(told).toHaveLength(1);
});

test("an earlier waiter of a page cannot settle the one that took its place", () => {
  const first = hold("ann", "page");
  waiters.supersede(first);
  hold("ann", "page");
  waiters.settle(first, "gone");
  expect([told, waiters.size]).toEqual([["ann superseded"], 1]);
});

test("a page is one of one user: the same client id of another is another page", () => {
  hold("ann", "page");
  hold("bob", "page");
  hold("bob page", "page");
  expect(waiters.size).toBe(3);
  hold("bob", "page");
  expect(told).toEqual(["bob superseded"]);
});

test("names and clients like __proto__ are names and clients", () => {
  hold("__proto__", "constructor");
  hold("constructor", "__proto__");
  expect(waiters.size).toBe(2);
  hold("__proto__", "constructor");
  expect(told).toEqual(["__proto__ superseded"]);
});

test("polls that do not say whose page they are do not get in each other's way", () => {
  waiters.cancel([hold("ann"), hold("ann")], "page");
  expect([told, waiters.size]).toEqual([[], 2]);
});

test("of some polls those of one client are cancelled, or without a client all, and no others", () => {
  const polls = [hold("ann", "one"), hold("ann", "two"), hold("ann")];
  hold("anna", "one");
  waiters.cancel(polls, "two");
  expect([told, waiters.size]).toEqual([["ann left"], 3]);
  waiters.cancel(polls);
  expect([told, waiters.size]).toEqual([["ann left", "ann left", "ann left"], 1]);
});

test("who skips a message stays held through its round, and is woken by the next", () => {
  const ann = hold("ann");
  hold("bob");
  waiters.passOver([ann], "5-0", "6-0");
  message("6-0");
  turn();
  expect(told).toEqual(["bob message"]);
  message("7-0");
  vi.advanceTimersByTime(100);
  expect(told).toEqual(["bob message", "ann message"]);
});

test("who has not seen what came before a message does not skip it", () => {
  const late = hold("ann", undefined, "4-0");
  waiters.passOver([late], "5-0", "6-0");
  expect(late.cursor).toBe("4-0");
});

test("a drain tells everybody once, also whom a round was about to answer, and leaves no timer", () => {
  hold("ann");
  hold("bob", "page", "1-0");
  message("6-0");
  waiters.drain();
  expect(told).toEqual(["ann drained", "bob drained"]);
  expect([waiters.size, vi.getTimerCount()]).toEqual([0, 0]);
});

test("after 5,000 polls that went away the map is empty; one timer is left, and ends with their wait", () => {
  const all = Array.from({ length: 5000 }, (_, n) => hold(`user ${n % 70}`, n % 2 ? `page ${n}` : undefined));
  expect(waiters.size).toBe(5000);
  for (const waiter of all) waiters.settle(waiter, "gone");
  expect([waiters.size, vi.getTimerCount()]).toEqual([0, 1]);
  vi.advanceTimersByTime(1000 + TICK);
  expect(vi.getTimerCount()).toBe(0);
});

test("polls without a client, one after the other, leave nothing behind to be looked at", () => {
  const deadline = vi.spyOn(Deadlines.prototype, "set");
  for (let n = 0; n < 1000; n++) waiters.settle(hold("ann", undefined, end, 60_000), "message");
  expect(deadline).toHaveBeenCalledTimes(1000);
  expect(new Set(deadline.mock.calls.map(([place]) => place)).size).toBe(1);
  deadline.mockRestore();
});
