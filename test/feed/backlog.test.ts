/** Reads from a backlog: events after a cursor, gaps, batches and resets. */
import { expect, test } from "vitest";
import { type Cursor, Feed, type Id, type Snapshot } from "../../src/feed/index.js";

const lastPrunedId: Id = "1000-0";
/** The ids 1001-0, 1002-0, … */
const id = (n: number): Id => `${1000 + n}-0`;

function snapshot(count: number): Snapshot<number> {
  return { lastPrunedId, events: Array.from({ length: count }, (_, n) => ({ id: id(n + 1), event: n + 1 })) };
}

/** A feed with the events 1, 2, 3, … */
function filled(backlog: number, count: number, clockSkew = 0): Feed<number> {
  return new Feed({ backlog, clockSkew, snapshot: snapshot(count) });
}

test("an empty feed starts and ends at the id of its snapshot", () => {
  const feed = filled(3, 0);
  expect([feed.lastPrunedId, feed.lastId]).toEqual([lastPrunedId, lastPrunedId]);
  for (const cursor of ["0", "now", lastPrunedId] as const) {
    expect(feed.read(cursor)).toEqual({ cursor: lastPrunedId, events: [] });
  }
});

test("a feed without a snapshot starts at the present time, and a cursor of an earlier process is a gap", () => {
  const before = Date.now();
  const feed = new Feed<string>();
  const [ms = 0] = feed.lastId.split("-").map(Number);
  expect(ms).toBeGreaterThanOrEqual(before);
  expect(ms).toBeLessThanOrEqual(Date.now());
  expect(feed.read(`${before - 1}-0`)).toEqual({ cursor: feed.lastId, events: [], gap: true });
});

test("a cursor gets all later events in order, and the cursor after them", () => {
  const feed = filled(10, 5);
  expect(feed.read(id(3))).toEqual({ cursor: id(5), events: [4, 5] });
  expect(feed.read(id(5))).toEqual({ cursor: id(5), events: [] });
  expect(feed.read("0")).toEqual({ cursor: id(5), events: [1, 2, 3, 4, 5] });
  expect(feed.read("now")).toEqual({ cursor: id(5), events: [] });
  expect(feed.read(lastPrunedId)).toEqual({ cursor: id(5), events: [1, 2, 3, 4, 5] });
});

test("the oldest events are pruned, and a reader that has seen the last pruned one has no gap", () => {
  const feed = filled(3, 8);
  expect([feed.lastPrunedId, feed.lastId]).toEqual([id(5), id(8)]);
  expect(feed.read("0")).toEqual({ cursor: id(8), events: [6, 7, 8] });
  expect(feed.read(id(5))).toEqual({ cursor: id(8), events: [6, 7, 8] });
  expect(feed.read(id(4))).toEqual({ cursor: id(8), events: [6, 7, 8], gap: true });
});

test.each<[string, Cursor]>([
  ["of an earlier history", "7-0"],
  ["of a later history", "9999999999999-0"],
  ["just after the end", "1005-1"],
  ["far beyond the end", "99999999999999999999-99999999999999999999"],
  ["between two events", "1003-7"],
  ["just after the last pruned event", "1000-1"],
])("a cursor %s is a gap, and gets everything that is kept and a valid cursor", (_, cursor) => {
  const feed = filled(10, 5);
  expect(feed.read(cursor)).toEqual({ cursor: id(5), events: [1, 2, 3, 4, 5], gap: true });
  expect(filled(10, 0).read(cursor)).toEqual({ cursor: lastPrunedId, events: [], gap: true });
});

test("a cursor in the future waits for its event within the clock skew", () => {
  const feed = filled(10, 5, 60_000);
  const soon: Id = `${Date.now() + 30_000}-0`;
  expect(feed.read(soon)).toEqual({ cursor: soon, events: [] });
  expect(feed.read(`${Date.now() + 90_000}-0`).gap).toBe(true);
  feed.push(6, soon);
  feed.push(7);
  expect(feed.read(soon)).toEqual({ cursor: feed.lastId, events: [7] });
});

test("a cursor in the future whose event never comes is a gap after a later event", () => {
  const feed = filled(10, 5, 60_000);
  const lost: Id = `${Date.now()}-5`;
  expect(feed.read(lost).gap).toBe(undefined);
  feed.push(6, `${Date.now() + 1000}-0`);
  expect(feed.read(lost)).toMatchObject({ gap: true, events: [1, 2, 3, 4, 5, 6] });
});

test("push returns an id that only grows", () => {
  const feed = filled(10, 2);
  const pushed = Array.from({ length: 5 }, (_, n) => feed.push(n));
  expect(new Set(pushed).size).toBe(5);
  expect(feed.lastId).toBe(pushed[4]);
  expect(feed.push(9, "99999999999999-5")).toBe("99999999999999-5");
  // The clock is far behind now.
  expect(feed.push(10)).toBe("99999999999999-6");
});

test.each<[string, Id]>([
  ["the last id", id(5)],
  ["an earlier id", "1004-9"],
  ["an id with a smaller number of digits", "7-0"],
  ["an id that is no number", "x-y" as Id],
  ["an id whose time is not exact", "9007199254740992-0"],
  ["an id whose counter is not exact", "99999999999999-9007199254740992"],
])("push throws a RangeError for %s, and changes nothing", (_, wrong) => {
  const feed = filled(5, 5);
  expect(() => feed.push(6, wrong)).toThrow(RangeError);
  expect(feed.read("0")).toEqual({ cursor: id(5), events: [1, 2, 3, 4, 5] });
});

const cycle: unknown[] = [];
cycle.push(cycle);

test.each([
  ["undefined", undefined],
  ["a function", () => 1],
  ["a symbol", Symbol("x")],
  ["a BigInt", 1n],
  ["a cycle", cycle],
  ["what toJSON makes undefined", { toJSON: () => undefined }],
])("push throws a TypeError for %s, and changes nothing", (_, event) => {
  const feed = new Feed<unknown>({ snapshot: snapshot(2) });
  expect(() => feed.push(event)).toThrow(TypeError);
  expect(feed.read("0")).toEqual({ cursor: id(2), events: [1, 2] });
});

test("a reader after a gap continues in batches, without a second gap", () => {
  const feed = filled(2500, 5000);
  const first = feed.read(id(1));
  expect(first).toMatchObject({ gap: true, cursor: id(3500) });
  const second = feed.read(first.cursor);
  expect([second.gap, second.events[0], second.cursor]).toEqual([undefined, 3501, id(4500)]);
});

test("read returns at most the limit, and at least one event", () => {
  const feed = filled(10, 5);
  expect(feed.read(id(1), { limit: 2 })).toEqual({ cursor: id(3), events: [2, 3] });
  expect(feed.read(id(1), { limit: 0 })).toEqual({ cursor: id(2), events: [2] });
});

test("a batch has at most 1 MiB of JSON, and no event is lost between two batches", () => {
  const feed = new Feed<string>();
  for (let n = 0; n < 300; n++) feed.push(`${n} ${"字".repeat(2000)}`);
  const seen: number[] = [];
  let batches = 0;
  for (let cursor: Cursor = "0"; cursor !== feed.lastId; batches++) {
    const batch = feed.read(cursor);
    expect(Buffer.byteLength(JSON.stringify(batch.events))).toBeLessThanOrEqual(1024 * 1024 + 1);
    seen.push(...batch.events.map((event) => Number.parseInt(event, 10)));
    cursor = batch.cursor;
  }
  expect(seen).toEqual(Array.from({ length: 300 }, (_, n) => n));
  expect(batches).toBe(2);
});

test("an event that is larger than a batch is alone in its batch", () => {
  const feed = new Feed<string>();
  const [small, large] = ["small", "x".repeat(1024 * 1024)];
  for (const event of [small, large, small]) feed.push(event);
  const events: string[][] = [];
  for (let cursor: Cursor = "0"; cursor !== feed.lastId; ) {
    const batch = feed.read(cursor);
    events.push([...batch.events]);
    cursor = batch.cursor;
  }
  expect(events).toEqual([[small], [large], [small]]);
});

test("readBefore returns the newest events before an id, oldest first, and whether there are more", () => {
  const feed = filled(5, 8);
  const ids = (before: Id | "now", limit: number) => {
    const { events, more } = feed.readBefore(before, limit);
    return [events.map(({ event }) => event), more];
  };
  expect(feed.readBefore("now", 1)).toEqual({ events: [{ id: id(8), event: 8 }], more: true });
  expect(ids("now", 3)).toEqual([[6, 7, 8], true]);
  expect(ids("now", 99)).toEqual([[4, 5, 6, 7, 8], false]);
  expect(ids(id(6), 2)).toEqual([[4, 5], false]);
  expect(ids(id(7), 2)).toEqual([[5, 6], true]);
  expect(ids("1006-5", 2)).toEqual([[5, 6], true]);
  expect(ids("9999999999999-0", 2)).toEqual([[7, 8], true]);
  expect(ids(id(4), 2)).toEqual([[], false]);
  expect(ids("5-0", 2)).toEqual([[], false]);
  expect(ids("now", 0)).toEqual([[], true]);
});

test("a reset replaces the events; a reader in the snapshot continues, and any other one has a gap", () => {
  const feed = filled(10, 5);
  // The store lost event 5, and got another one instead.
  feed.reset({ lastPrunedId: id(1), events: [2, 3, 4, 6].map((n) => ({ id: id(n), event: n })) });
  expect([feed.lastPrunedId, feed.lastId]).toEqual([id(1), id(6)]);
  expect(feed.read(id(3))).toEqual({ cursor: id(6), events: [4, 6] });
  expect(feed.read(id(1))).toEqual({ cursor: id(6), events: [2, 3, 4, 6] });
  expect(feed.read(id(5))).toEqual({ cursor: id(6), events: [2, 3, 4, 6], gap: true });
  expect(feed.read(lastPrunedId)).toMatchObject({ gap: true });
});

test("a reader that has seen more than a reset has waits, and has a gap after a later event", () => {
  const feed = filled(10, 5, 60_000);
  const seen = feed.push(6);
  feed.reset(snapshot(5));
  // Until then it could be the cursor of another process that is ahead.
  expect(feed.read(seen)).toEqual({ cursor: seen, events: [] });
  feed.push(7, "5000-0");
  expect(feed.read(seen)).toEqual({ cursor: seen, events: [] });
  feed.push(8, `${Date.now() + 5000}-0`);
  expect(feed.read(seen)).toMatchObject({ gap: true, events: [1, 2, 3, 4, 5, 7, 8] });
});

test("a snapshot that is too long is pruned, and one that is not in order is a RangeError", () => {
  expect(filled(2, 5).read("0").events).toEqual([4, 5]);
  const events = [id(2), id(1)].map((id) => ({ id, event: 0 }));
  expect(() => new Feed({ snapshot: { lastPrunedId, events } })).toThrow(RangeError);
  expect(() => new Feed({ snapshot: { lastPrunedId: id(2), events: [{ id: id(2), event: 0 }] } })).toThrow(
    RangeError,
  );
});
