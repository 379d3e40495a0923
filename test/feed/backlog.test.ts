/** Ids, and reads from a backlog: events after a cursor and before an id, gaps, batches and resets. */
import { expect, test } from "vitest";
import { type Cursor, Feed, type Id, isCursor, type Snapshot } from "../../src/feed/index.js";

const lastPrunedId: Id = "1000-0";
/** The ids 1001-0, 1002-0, … */
const id = (n: number): Id => `${1000 + n}-0`;

function snapshot(count: number): Snapshot<number> {
  return { lastPrunedId, events: Array.from({ length: count }, (_, n) => ({ id: id(n + 1), event: n + 1 })) };
}

/** A feed with the events 1, 2, 3, … */
function filled(backlog: number, count: number): Feed<number> {
  return new Feed({ backlog, snapshot: snapshot(count) });
}

test("a cursor is 0, or two integers of at most 20 digits", () => {
  const longest = "18446744073709551615-18446744073709551615";
  expect(["0", "0-0", "1700000000000-12", longest].filter(isCursor)).toHaveLength(4);
  const wrong = "now 1 00 - 1- -1 1-2-3 01-2 1-02 +1-2 1.5-2 1e3-2 0x1-2 ١-٢ 123456789012345678901-0 NaN-0";
  expect([...wrong.split(" "), "", " 1-2", "1-2\n", "1-2 or 1=1"].filter(isCursor)).toEqual([]);
});

test("a feed without a snapshot starts at the present time, and a cursor of an earlier process is a gap", () => {
  const before = Date.now();
  const feed = new Feed<string>();
  const ms = Number.parseInt(feed.lastId, 10);
  expect([ms >= before, ms <= Date.now()]).toEqual([true, true]);
  expect(feed.read(`${before - 1}-0`)).toEqual({ cursor: feed.lastId, events: [], gap: true });
});

const ALL = { cursor: id(8), events: [6, 7, 8] };
const PAST = ["1004-0", "7-0", "1007-7", "1005-1"] as const;
const GAPS = [...PAST, "1008-1", "9999999999999-0", "18446744073709551615-0"] as const;
test("a cursor gets its batch from a backlog that ends at 1008-0 and was pruned at 1005-0", () => {
  const feed = filled(3, 8);
  expect([feed.lastPrunedId, feed.lastId]).toEqual([id(5), id(8)]);
  for (const cursor of [id(5), "0"] as const) expect(feed.read(cursor)).toEqual(ALL);
  for (const cursor of [id(8), "now"] as const) expect(feed.read(cursor)).toEqual({ ...ALL, events: [] });
  expect(feed.read(id(6))).toEqual({ ...ALL, events: [7, 8] });
  for (const cursor of GAPS) expect(feed.read(cursor), cursor).toEqual({ ...ALL, gap: true });
});

test("an empty feed has a gap for every cursor but its own", () => {
  const feed = filled(3, 0);
  for (const cursor of ["0", "now", lastPrunedId] as const)
    expect(feed.read(cursor)).toEqual({ cursor: lastPrunedId, events: [] });
  expect(feed.read("1000-1")).toEqual({ cursor: lastPrunedId, events: [], gap: true });
});

test("push returns an id that only grows, also if the clock is far behind", () => {
  const feed = filled(10, 2);
  const pushed = [feed.push(1), feed.push(2), feed.push(3, "99999999999999-5"), feed.push(4)];
  expect(pushed.slice(2)).toEqual(["99999999999999-5", "99999999999999-6"]);
  expect([new Set(pushed).size, feed.lastId]).toEqual([4, pushed[3]]);
});

test("push throws for an id that is not after 1005-0 and for what JSON cannot carry, and changes nothing", () => {
  const feed = new Feed<unknown>({ snapshot: snapshot(5) });
  const ids = [id(5), "1004-9", "7-0", "x-y", "9007199254740992-0", "99999999999999-9007199254740992"];
  for (const wrong of ids as Id[]) expect(() => feed.push(6, wrong), wrong).toThrow(RangeError);
  const cycle: unknown[] = [];
  cycle.push(cycle);
  const events = [undefined, () => 1, Symbol("x"), 1n, cycle, { toJSON: () => undefined }];
  for (const event of events) expect(() => feed.push(event)).toThrow(TypeError);
  expect(feed.read("0")).toEqual({ cursor: id(5), events: [1, 2, 3, 4, 5] });
});

test("a batch has at most 1 MiB, or one event that is larger, and no event is lost", () => {
  const feed = new Feed<string>();
  const events = [...Array.from({ length: 300 }, () => "字".repeat(2000)), "x".repeat(1024 * 1024), "small"];
  for (const event of events) feed.push(event);
  const read: (readonly string[])[] = [];
  for (let cursor: Cursor = "0"; cursor !== feed.lastId; ) {
    const batch = feed.read(cursor);
    const size = Buffer.byteLength(JSON.stringify(batch.events));
    expect(size <= 1024 * 1024 + 1 || batch.events.length === 1).toBe(true);
    read.push(batch.events);
    cursor = batch.cursor;
  }
  expect([read.flat(), read.length]).toEqual([events, 4]);
});

test.each<[Id | "now", number, number[], boolean]>([
  ["now", 1.5, [8], true],
  ["now", 99, [4, 5, 6, 7, 8], false],
  ["now", 0, [], true],
  ["now", Number.NaN, [], true],
  [id(6), 2, [4, 5], false],
  [id(7), 2, [5, 6], true],
  ["1006-5", 2, [5, 6], true],
  ["9999999999999-0", 2, [7, 8], true],
])("readBefore %s with the limit %d returns the events %j, and whether there are more", (...row) => {
  const [before, limit, expected, more] = row;
  const events = expected.map((event) => ({ id: id(event), event }));
  expect(filled(5, 8).readBefore(before, limit)).toEqual({ events, more });
});

test("a reset to a wrong snapshot throws a RangeError, and keeps what comes before the fault", () => {
  const wrong = (lastPrunedId: string, ...ids: Id[]): Snapshot<number> => ({
    lastPrunedId: lastPrunedId as Id,
    events: ids.map((id) => ({ id, event: 9 })),
  });
  for (const [snapshot, kept] of [
    [wrong(lastPrunedId, id(2), id(1)), [9]],
    [wrong(id(2), id(2)), []],
    ...["x", "", "9007199254740992-0"].map((id) => [wrong(id), [1, 2]] as const),
  ] as const) {
    const feed = filled(9, 2);
    expect(() => feed.reset(snapshot)).toThrow(RangeError);
    expect(feed.read("0").events).toEqual(kept);
    expect(() => new Feed({ snapshot })).toThrow(RangeError);
  }
});
