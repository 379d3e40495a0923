/** Ids, and reads from a backlog: events after a cursor and before an id, gaps, batches and resets. */
import { expect, test } from "vitest";
import {
  type Batch,
  type Cursor,
  compareIds,
  Feed,
  type Id,
  isCursor,
  type Snapshot,
} from "../../src/feed/index.js";

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

test("ids are compared as two integers", () => {
  const inOrder = [
    "0-0",
    "0-9",
    "0-10",
    "9-99",
    "10-0",
    "1700000000000-0",
    `${2 ** 53 - 1}-0`,
    "18446744073709551615-0",
  ];
  for (const [n, earlier] of (inOrder as Id[]).entries()) {
    expect(compareIds(earlier, earlier)).toBe(0);
    for (const later of (inOrder as Id[]).slice(n + 1)) {
      expect([compareIds(earlier, later) < 0, compareIds(later, earlier) > 0]).toEqual([true, true]);
    }
  }
});

test("a cursor is 0, or two integers of at most 20 digits", () => {
  const longest = "18446744073709551615-18446744073709551615";
  expect(["0", "0-0", "1700000000000-12", longest].filter(isCursor)).toHaveLength(4);
  const wrong = [
    "",
    "now",
    "1",
    "00",
    "-",
    "1-",
    "-1",
    "1-2-3",
    "01-2",
    "1-02",
    "+1-2",
    "1.5-2",
    "1e3-2",
    " 1-2",
  ];
  const more = ["1-2\n", "0x1-2", "١-٢", "123456789012345678901-0", "NaN-0", "1-2 or 1=1"];
  expect([...wrong, ...more].filter(isCursor)).toEqual([]);
});

test("a feed without a snapshot starts at the present time, and a cursor of an earlier process is a gap", () => {
  const before = Date.now();
  const feed = new Feed<string>();
  const ms = Number.parseInt(feed.lastId, 10);
  expect([ms >= before, ms <= Date.now()]).toEqual([true, true]);
  expect(feed.read(`${before - 1}-0`)).toEqual({ cursor: feed.lastId, events: [], gap: true });
});

const ALL = { cursor: id(8), events: [6, 7, 8] };
const GAPS = [
  "1004-0",
  "7-0",
  "9999999999999-0",
  "1008-1",
  "1007-7",
  "1005-1",
  "18446744073709551615-0",
] as const;
test.each<[Cursor | "now", Batch<number>]>([
  [id(6), { cursor: id(8), events: [7, 8] }],
  [id(8), { cursor: id(8), events: [] }],
  [id(5), ALL],
  ["0", ALL],
  ["now", { cursor: id(8), events: [] }],
  ...GAPS.map((cursor): [Cursor, Batch<number>] => [cursor, { ...ALL, gap: true }]),
])(
  "the cursor %s gets its batch from a backlog that ends at 1008-0 and was pruned at 1005-0",
  (cursor, batch) => {
    const feed = filled(3, 8);
    expect([feed.lastPrunedId, feed.lastId]).toEqual([id(5), id(8)]);
    expect(feed.read(cursor)).toEqual(batch);
  },
);

test("an empty feed has a gap for every cursor but its own", () => {
  const feed = filled(3, 0);
  for (const cursor of ["0", "now", lastPrunedId] as const) {
    expect(feed.read(cursor)).toEqual({ cursor: lastPrunedId, events: [] });
  }
  expect(feed.read("1000-1")).toEqual({ cursor: lastPrunedId, events: [], gap: true });
});

test("a cursor in the future waits for its event within the clock skew, and is a gap after a later event", () => {
  const feed = filled(10, 5, 60_000);
  const soon: Id = `${Date.now() + 30_000}-0`;
  const lost: Id = `${Date.now()}-5`;
  for (const cursor of [soon, lost]) expect(feed.read(cursor)).toEqual({ cursor, events: [] });
  expect(feed.read(`${Date.now() + 90_000}-0`).gap).toBe(true);
  feed.push(6, soon);
  feed.push(7);
  expect(feed.read(soon)).toEqual({ cursor: feed.lastId, events: [7] });
  expect(feed.read(lost)).toMatchObject({ gap: true, events: [1, 2, 3, 4, 5, 6, 7] });
});

test("push returns an id that only grows, also if the clock is far behind", () => {
  const feed = filled(10, 2);
  const pushed = [feed.push(1), feed.push(2), feed.push(3, "99999999999999-5"), feed.push(4)];
  expect(pushed.slice(2)).toEqual(["99999999999999-5", "99999999999999-6"]);
  expect([new Set(pushed).size, feed.lastId]).toEqual([4, pushed[3]]);
});

const WRONG_IDS = ["1004-9", "7-0", "x-y", "9007199254740992-0", "99999999999999-9007199254740992"] as Id[];
test.each([id(5), ...WRONG_IDS])(
  "push throws a RangeError for the id %s after 1005-0, and changes nothing",
  (wrong) => {
    const feed = filled(5, 5);
    expect(() => feed.push(6, wrong)).toThrow(RangeError);
    expect(feed.read("0")).toEqual({ cursor: id(5), events: [1, 2, 3, 4, 5] });
  },
);

const cycle: unknown[] = [];
cycle.push(cycle);
test.each([
  ...[
    ["undefined", undefined] as const,
    ["a function", () => 1] as const,
    ["a symbol", Symbol("x")] as const,
  ],
  ...[["a BigInt", 1n] as const, ["a cycle", cycle] as const],
  ["what toJSON makes undefined", { toJSON: () => undefined }] as const,
])("push throws a TypeError for %s, and changes nothing", (_, event) => {
  const feed = new Feed<unknown>({ snapshot: snapshot(2) });
  expect(() => feed.push(event)).toThrow(TypeError);
  expect(feed.read("0")).toEqual({ cursor: id(2), events: [1, 2] });
});

test("a reader after a gap continues in batches of 1,000, without a second gap", () => {
  const feed = filled(2500, 5000);
  const first = feed.read(id(1));
  expect(first).toMatchObject({ gap: true, cursor: id(3500) });
  const second = feed.read(first.cursor);
  expect([second.gap, second.events[0], second.cursor]).toEqual([undefined, 3501, id(4500)]);
});

test.each([
  ["of 2 KB are split into batches of 1 MiB", Array.from({ length: 300 }, () => "字".repeat(2000)), 2],
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

test.each<[Id | "now", number, number[], boolean]>([
  ["now", 1.5, [8], true],
  ["now", 3, [6, 7, 8], true],
  ["now", 99, [4, 5, 6, 7, 8], false],
  ["now", 0, [], true],
  ["now", Number.NaN, [], true],
  [id(6), 2, [4, 5], false],
  [id(7), 2, [5, 6], true],
  ["1006-5", 2, [5, 6], true],
  ["9999999999999-0", 2, [7, 8], true],
  [id(4), 2, [], false],
])(
  "readBefore %s with the limit %d returns the events %j, and whether there are more",
  (before, limit, expected, more) => {
    const events = expected.map((event) => ({ id: id(event), event }));
    expect(filled(5, 8).readBefore(before, limit)).toEqual({ events, more });
  },
);

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
  feed.push(7, "5000-0");
  expect(feed.read(seen)).toEqual({ cursor: seen, events: [] });
  feed.push(8, `${Date.now() + 5000}-0`);
  expect(feed.read(seen)).toMatchObject({ gap: true, events: [1, 2, 3, 4, 5, 7, 8] });
});

test("a snapshot that is too long is pruned", () => {
  expect(filled(2, 5).read("0").events).toEqual([4, 5]);
});

test.each<[string, Snapshot<number>, number[]]>([
  ["not in order", { lastPrunedId, events: [id(2), id(1)].map((id) => ({ id, event: 9 })) }, [9]],
  ["not after lastPrunedId", { lastPrunedId: id(2), events: [{ id: id(2), event: 9 }] }, []],
  ...["x", "", "9007199254740992-0"].map((wrong): [string, Snapshot<number>, number[]] => [
    `of the lastPrunedId ${wrong}`,
    { lastPrunedId: wrong as Id, events: [] },
    [1, 2],
  ]),
])(
  "a reset to a snapshot %s throws a RangeError, and keeps what comes before the fault",
  (_, wrong, kept) => {
    const feed = filled(9, 2);
    expect(() => feed.reset(wrong)).toThrow(RangeError);
    expect(feed.read("0").events).toEqual(kept);
    expect(() => new Feed({ snapshot: wrong })).toThrow(RangeError);
  },
);
