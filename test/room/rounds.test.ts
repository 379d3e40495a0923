/** Rounds: fake timers, and a clock that work moves on, so that a round costs what the test says. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Rounds } from "../../src/room/rounds.js";

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

/** Rounds over whoever is late; each answer costs `cost` milliseconds of work. */
function busy(cost: number) {
  let late: string[] = [];
  const answered: string[] = [];
  let begun = 0;
  const rounds = new Rounds<string>(
    () => {
      begun++;
      const round = late;
      late = [];
      return round;
    },
    (name) => {
      work += cost;
      answered.push(name);
    },
  );
  const behind = (...names: string[]) => {
    late.push(...names);
    rounds.request();
  };
  return { rounds, answered, behind, begun: () => begun };
}

/** One turn of the event loop: what is due now, and no more. */
const turn = () => vi.advanceTimersByTime(0);

test("a quiet room answers on the next turn of the event loop, not within the request", () => {
  const { behind, answered } = busy(0);
  behind("ann");
  expect(answered).toEqual([]);
  turn();
  expect(answered).toEqual(["ann"]);
});

test("all who are late when the round begins are in it, however often it was asked for", () => {
  const { behind, answered, begun } = busy(1);
  behind("ann");
  behind("bob", "cyd");
  turn();
  expect(answered).toEqual(["ann", "bob", "cyd"]);
  vi.runAllTimers();
  expect(begun()).toBe(1);
});

test("after a round that took a while the room rests; who comes meanwhile travels together", () => {
  const { behind, answered } = busy(6);
  behind("ann");
  turn();
  behind("bob");
  turn();
  expect(answered).toEqual(["ann"]);
  behind("cyd");
  vi.advanceTimersByTime(60);
  expect(answered).toEqual(["ann", "bob", "cyd"]);
});

test("a rest ends: a room that was busy long ago answers on the next turn again", () => {
  const { behind, answered } = busy(6);
  behind("ann");
  turn();
  vi.advanceTimersByTime(1000);
  behind("bob");
  turn();
  expect(answered).toEqual(["ann", "bob"]);
});

test("a rest is for the last round, not for all that went before", () => {
  const { behind, answered } = busy(6);
  for (let n = 0; n < 20; n++) {
    behind(`reader ${n}`);
    vi.advanceTimersByTime(1000);
  }
  behind("ann");
  turn();
  behind("bob");
  vi.advanceTimersByTime(60);
  expect(answered.slice(-2)).toEqual(["ann", "bob"]);
});

test("who comes back behind during a round is not in it, and not forgotten: another round follows", () => {
  const answered: string[] = [];
  let late = ["ann", "bob"];
  const rounds: Rounds<string> = new Rounds(
    () => late.splice(0),
    (name) => {
      answered.push(name);
      if (name !== "ann" || answered.length > 1) return;
      late = ["ann again"];
      rounds.request();
    },
  );
  rounds.request();
  turn();
  expect(answered.slice(0, 2)).toEqual(["ann", "bob"]);
  vi.runAllTimers();
  expect(answered).toEqual(["ann", "bob", "ann again"]);
});

test("a long round lets the event loop go between turns, and then goes on where it was", () => {
  const { behind, answered } = busy(1);
  const names = Array.from({ length: 200 }, (_, n) => `reader ${n}`);
  behind(...names);
  vi.advanceTimersToNextTimer();
  expect(answered.length).toBeGreaterThan(0);
  expect(answered.length).toBeLessThan(100);
  vi.runAllTimers();
  expect(answered).toEqual(names);
});

test("the first turn of a small round is longer than that of a large one, in which more people wait", () => {
  const answeredInFirstTurn = (size: number) => {
    const { behind, answered } = busy(1);
    behind(...Array.from({ length: size }, (_, n) => `reader ${n}`));
    vi.advanceTimersToNextTimer();
    return answered.length;
  };
  expect(answeredInFirstTurn(1000)).toBeGreaterThan(answeredInFirstTurn(1001));
});

test("what is asked for between two turns of a round waits for the next round", () => {
  const { behind, answered, begun } = busy(1);
  const names = Array.from({ length: 200 }, (_, n) => `reader ${n}`);
  behind(...names);
  vi.advanceTimersToNextTimer();
  behind("zoe");
  vi.runAllTimers();
  expect(answered).toEqual([...names, "zoe"]);
  expect(begun()).toBe(2);
});

test("a stop forgets a round that is due, one that rests and one under way, and leaves no timer", () => {
  const { rounds, behind, answered } = busy(6);
  behind("ann");
  rounds.stop();
  vi.runAllTimers();
  expect(answered).toEqual([]);

  behind("bob");
  turn();
  behind("cyd");
  rounds.stop();
  expect(vi.getTimerCount()).toBe(0);

  behind(...Array.from({ length: 99 }, (_, n) => `reader ${n}`));
  vi.advanceTimersToNextTimer();
  const soFar = answered.length;
  rounds.stop();
  vi.runAllTimers();
  expect(answered).toHaveLength(soFar);
});

test("after a stop a new request is answered again", () => {
  const { rounds, behind, answered } = busy(0);
  behind("ann");
  rounds.stop();
  behind("bob");
  vi.runAllTimers();
  expect(answered).toEqual(["ann", "bob"]);
});

test("a round that begins with nobody is a round all the same, and ends", () => {
  const { rounds, begun } = busy(0);
  rounds.request();
  vi.runAllTimers();
  expect(begun()).toBe(1);
  expect(vi.getTimerCount()).toBe(0);
});
