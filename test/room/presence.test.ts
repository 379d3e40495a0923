/** Presence: people come and go; their polls come and go all the time. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Polling, Presence } from "../../src/room/presence.js";

const GRACE = 30_000;
/** A deadline may be late by so much. */
const TICK = 50;
let away: string[];
let presence: Presence<Poll>;

interface Poll extends Polling<Poll> {}

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2030, 0, 1) });
  away = [];
  presence = new Presence(GRACE, (user) => away.push(user));
});

afterEach(() => {
  vi.useRealTimers();
});

const pollOf = (user: string): Poll => ({ user, person: undefined });

/** A poll that is held. */
function arrive(user: string): Poll {
  const poll = pollOf(user);
  presence.hold(poll);
  return poll;
}

test("who polls is here; only the first time is a coming", () => {
  expect(presence.touch("ann")).toBe(true);
  expect([presence.hold(pollOf("ann")), presence.touch("ann")]).toEqual([false, false]);
  expect([presence.hold(pollOf("bob")), presence.touch("bob")]).toEqual([true, false]);
  presence.leave("bob");
  expect([presence.count, presence.has("ann"), presence.held("ann")]).toEqual([1, true, 1]);
});

test("somebody whose poll is held is here for as long as it takes", () => {
  arrive("ann");
  vi.advanceTimersByTime(GRACE * 100);
  expect([presence.has("ann"), away]).toEqual([true, []]);
});

test("the grace time runs from the last poll that was let go, and then one is away, once", () => {
  const [first, second] = [arrive("ann"), arrive("ann")];
  presence.release(first);
  vi.advanceTimersByTime(GRACE * 2);
  expect(presence.has("ann")).toBe(true);
  presence.release(second);
  vi.advanceTimersByTime(GRACE - 1);
  expect(presence.has("ann")).toBe(true);
  vi.advanceTimersByTime(1);
  expect([presence.has("ann"), away]).toEqual([false, ["ann"]]);
  vi.advanceTimersByTime(GRACE * 2);
  expect(away).toEqual(["ann"]);
});

test("a page view counts for the grace time", () => {
  presence.touch("ann");
  vi.advanceTimersByTime(GRACE - 1);
  presence.touch("ann");
  vi.advanceTimersByTime(GRACE - 1);
  expect(away).toEqual([]);
  vi.advanceTimersByTime(TICK);
  expect(away).toEqual(["ann"]);
});

test("a poll in time keeps one here, and the others go when it is their turn", () => {
  const [ann, bob] = [arrive("ann"), arrive("bob")];
  presence.release(ann);
  vi.advanceTimersByTime(1000);
  presence.release(bob);
  vi.advanceTimersByTime(1000);
  arrive("ann");
  vi.advanceTimersByTime(GRACE);
  expect([away, presence.names(10)]).toEqual([["bob"], ["ann"]]);
});

test("who leaves is away at once, is not told of again, and can come back", () => {
  const poll = arrive("ann");
  expect(presence.leave("ann")).toBe(true);
  expect(presence.leave("ann")).toBe(false);
  presence.release(poll);
  vi.advanceTimersByTime(GRACE * 2);
  expect([presence.count, away]).toEqual([0, []]);
  expect(presence.touch("ann")).toBe(true);
});

test("a poll from before somebody left counts for nothing when they are back", () => {
  const early = arrive("ann");
  presence.leave("ann");
  const late = arrive("ann");
  presence.release(early);
  expect(presence.held("ann")).toBe(1);
  vi.advanceTimersByTime(GRACE * 2);
  expect([presence.has("ann"), away]).toEqual([true, []]);
  presence.release(late);
  vi.advanceTimersByTime(GRACE);
  expect(away).toEqual(["ann"]);
});

test("the polls of who holds most can be told, and are none when none is held", () => {
  presence.touch("ann");
  expect(presence.heaviest()).toEqual([]);
  arrive("bob");
  const polls = [arrive("cyd"), arrive("cyd")];
  expect(presence.heaviest()).toEqual(polls);
});

test("the held polls of a person are listed in the order in which they came, without those that were let go", () => {
  const [first, second, third] = [arrive("ann"), arrive("ann"), arrive("ann")];
  arrive("bob");
  presence.release(second);
  expect(presence.polls("ann")).toEqual([first, third]);
  presence.release(first);
  presence.release(third);
  expect([presence.polls("ann"), presence.polls("nobody")]).toEqual([[], []]);
});

test("names are in order and follow who is here", () => {
  for (const user of ["bob", "__proto__", "ann", "constructor"]) presence.touch(user);
  expect(presence.names(10)).toEqual(["__proto__", "ann", "bob", "constructor"]);
  presence.leave("bob");
  presence.touch("abe");
  expect(presence.names(10)).toEqual(["__proto__", "abe", "ann", "constructor"]);
  vi.advanceTimersByTime(GRACE);
  expect(presence.names(10)).toEqual([]);
});

test("somebody who comes back while others are told of their going is here", () => {
  const back: Presence<Poll> = new Presence(GRACE, (user) => {
    if (user === "ann") back.touch("ann");
  });
  back.touch("ann");
  back.touch("bob");
  vi.advanceTimersByTime(GRACE);
  expect(back.names(10)).toEqual(["ann"]);
  back.stop();
});

test("a clock that goes back keeps nobody here longer than the grace time", () => {
  presence.touch("ann");
  vi.setSystemTime(Date.now() - 3_600_000);
  presence.touch("bob");
  vi.advanceTimersByTime(GRACE + 1);
  expect(away).toEqual(["ann", "bob"]);
});

test("a clock that goes forward sends nobody away before the grace time", () => {
  presence.touch("ann");
  vi.advanceTimersByTime(GRACE - 1000);
  presence.release(arrive("bob"));
  vi.setSystemTime(Date.now() + 3_600_000);
  vi.advanceTimersByTime(1000);
  expect([away, presence.names(10)]).toEqual([["ann"], ["bob"]]);
});

test("one timer serves all, and none is left after a stop", () => {
  for (let n = 0; n < 500; n++) presence.touch(`user ${n}`);
  expect(vi.getTimerCount()).toBe(1);
  presence.stop();
  expect(vi.getTimerCount()).toBe(0);
});

test("when all are away no timer is left", () => {
  presence.touch("ann");
  vi.advanceTimersByTime(GRACE);
  expect(vi.getTimerCount()).toBe(0);
});
