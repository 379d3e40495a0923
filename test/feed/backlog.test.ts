/** Reads from a backlog: events after a cursor, gaps, batches and resets. */
import { expect, test } from "vitest";
import { type Batch, type Cursor, Feed, type Id, type Snapshot } from "../../src/feed/index.js";

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

test("a feed without a snapshot starts at the present time, and a cursor of an earlier process is a gap", () => {
  const before = Date.now();
  const feed = new Feed<string>();
  const [ms = 0] = feed.lastId.split("-").map(Number);
  expect(ms).toBeGreaterThanOrEqual(before);
  expect(ms).toBeLessThanOrEqual(Date.now());
  expect(feed.read(`${before - 1}-0`)).toEqual({ cursor: feed.lastId, events: [], gap: true });
});

test.each<[string, Cursor | "now", Batch<number>]>([
  ["of a kept event gets all later events", id(6), { cursor: id(8), events: [7, 8] }],
  ["of the last event gets nothing", id(8), { cursor: id(8), events: [] }],
  ["of the last pruned event gets all events", id(5), { cursor: id(8), events: [6, 7, 8] }],
  ["0 gets all events", "0", { cursor: id(8), events: [6, 7, 8] }],
  ["now gets nothing", "now", { cursor: id(8), events: [] }],
  ...(["1004-0", "7-0", "9999999999999-0", "1008-1", "1007-7", "1005-1"] as const).map(
    (cursor): [string, Cursor, Batch<number>] => [
      `${cursor} is a gap`,
      cursor,
      { cursor: id(8), events: [6, 7, 8], gap: true },
    ],
  ),
  [
    "with 64-bit integers is a gap",
    "18446744073709551615-0",
    { cursor: id(8), events: [6, 7, 8], gap: true },
  ],
])("a cursor %s", (_, cursor, batch) => {
  const feed = filled(3, 8);
  expect([feed.lastPrunedId, feed.lastId]).toEqual([id(5), id(8)]);
  expect(feed.read(cursor)).toEqual(batch);
});

test("an empty feed has a gap for every cursor but its own", () => {
  const feed = filled(3, 0);
  expect([feed.lastPrunedId, feed.lastId]).toEqual([lastPrunedId, lastPrunedId]);
  for (const cursor of ["0", "now", lastPrunedId] as const) {
    expect(feed.read(cursor)).toEqual({ cursor: lastPrunedId, events: [] });
  }
  expect(feed.read("1000-1")).toEqual({ cursor: lastPrunedId, events: [], gap: true });
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

test("push returns an id that only grows, also if the clock is far behind", () => {
  const feed = filled(10, 2);
  const pushed = [feed.push(1), feed.push(2), feed.push(3, "99999999999999-5"), feed.push(4)];
  expect(pushed.slice(2)).toEqual(["99999999999999-5", "99999999999999-6"]);
  expect([new Set(pushed).size, feed.lastId]).toEqual([4, pushed[3]]);
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

test.each([
  [
    "of 2 KB are split into batches of 1 MiB",
    Array.from({ length: 300 }, (_, n) => `${n} ${"字".repeat(2000)}`),
    2,
  ],
  ["larger than a batch are alone in theirs", ["small", "x".repeat(1024 * 1024), "small"], 3],
])("events %s, and none is lost", (_, events, batches) => {
  const feed = new Feed<string>();
  for (const event of events) feed.push(event);
  const read: (readonly string[])[] = [];
  for (let cursor: Cursor = "0"; cursor !== feed.lastId; ) {
    const batch = feed.read(cursor);
    const size = Buffer.byteLength(JSON.stringify(batch.events));
    expect(size <= 1024 * 1024 + 1 || batch.events.length === 1).toBe(true);
    read.push(batch.events);
    cursor = batch.cursor;
  }
  expect([read.flat(), read.length]).toEqual([events, batches]);
});

test("readBefore returns the newest events before an id, oldest first, and whether there are more", () => {
  const feed = filled(5, 8);
  const ids = (before: Id | "now", limit: number) => {
    const { events, more } = feed.readBefore(before, limit);
    return [events.map(({ event }) => event), more];
  };
  expect(feed.readBefore("now", 1)).toEqual({ events: [{ id: id(8), event: 8 }], more: true });
  expect(feed.readBefore("now", 1.5)).toEqual(feed.readBefore("now", 1));
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
