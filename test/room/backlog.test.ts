/** The backlog: what a cursor gets, what it has missed, and what a hostile cursor cannot do. */
import { expect, test } from "vitest";
import { Backlog, type Cursor, isCursor, SLICE_BYTES, SLICE_MESSAGES } from "../../src/room/backlog.js";
import type { Id } from "../../src/store/id.js";
import type { Message } from "../../src/store/store.js";

const say = (id: Id, text = `text of ${id}`): Message => ({ id, user: "ann", text, at: 1 });
const floor: Id = "1000-0";

/** A backlog with the messages 1001-0, 1002-0, … */
function filled(limit: number, count: number): Backlog {
  const messages = Array.from({ length: count }, (_, n) => say(`${1001 + n}-0`));
  return new Backlog(limit, { floor, messages });
}

/** The ids after a cursor, as far as one slice goes. */
const ids = (backlog: Backlog, cursor: Cursor) => backlog.after(cursor).messages.map(({ id }) => id);

test("an empty backlog begins and ends at the store's floor", () => {
  const backlog = filled(3, 0);
  expect([backlog.floor, backlog.end]).toEqual([floor, floor]);
  expect(backlog.after("0")).toEqual({ cursor: floor, messages: [], json: "", gap: false });
  expect(backlog.isBehind("0")).toBe(false);
  expect(backlog.isBehind(floor)).toBe(false);
});

test("a cursor gets all that came after it, in order, and the cursor to read on from", () => {
  const backlog = filled(10, 5);
  expect(ids(backlog, "1003-0")).toEqual(["1004-0", "1005-0"]);
  expect(backlog.after("1003-0")).toMatchObject({ cursor: "1005-0", gap: false });
  expect(ids(backlog, "0")).toHaveLength(5);
  expect(backlog.after("1005-0")).toMatchObject({ cursor: "1005-0", messages: [], gap: false });
});

test("ids of one millisecond are told apart by their counter, as numbers and not as text", () => {
  const backlog = new Backlog(10, { floor, messages: [say("2000-9"), say("2000-10"), say("10000-0")] });
  expect(ids(backlog, "2000-9")).toEqual(["2000-10", "10000-0"]);
  expect(ids(backlog, "2000-10")).toEqual(["10000-0"]);
});

test("a cursor between two messages, which no message has, is no gap", () => {
  expect(filled(10, 5).after("1003-7")).toMatchObject({ gap: false, cursor: "1005-0" });
  expect(ids(filled(10, 5), "1003-7")).toEqual(["1004-0", "1005-0"]);
});

test("the oldest go first, and the floor is the last one that went", () => {
  const backlog = filled(3, 8);
  expect(backlog.floor).toBe("1005-0");
  expect(ids(backlog, "0")).toEqual(["1006-0", "1007-0", "1008-0"]);
  expect(backlog.newest(2).map(({ id }) => id)).toEqual(["1007-0", "1008-0"]);
  expect(backlog.newest(99)).toHaveLength(3);
  expect(backlog.newest(0)).toEqual([]);
});

test("whoever has seen the floor has missed nothing; one before it has a gap and gets all that is kept", () => {
  const backlog = filled(3, 8);
  expect(backlog.after("1005-0").gap).toBe(false);
  expect(backlog.after("1004-0")).toMatchObject({ gap: true, cursor: "1008-0" });
  expect(ids(backlog, "1004-0")).toHaveLength(3);
  expect(backlog.after("0").gap).toBe(false);
});

test("a cursor from the future is of another history: it is told at once, and gets a good cursor", () => {
  for (const cursor of ["1005-1", "9999999999999-0", "99999999999999999999-99999999999999999999"] as const) {
    const backlog = filled(10, 5);
    expect(backlog.isBehind(cursor)).toBe(true);
    expect(backlog.after(cursor)).toMatchObject({ gap: true, cursor: "1005-0" });
    expect(ids(backlog, cursor)).toHaveLength(5);
  }
});

test("a gap in an empty backlog is told too, or the reader would ask with the bad cursor for ever", () => {
  const backlog = filled(3, 0);
  for (const cursor of ["1-0", "2000-0"] as const) {
    expect(backlog.isBehind(cursor)).toBe(true);
    expect(backlog.after(cursor)).toEqual({ cursor: floor, messages: [], json: "", gap: true });
  }
});

test("a backlog of one keeps the newest only", () => {
  const backlog = filled(1, 4);
  expect(ids(backlog, "0")).toEqual(["1004-0"]);
  expect(backlog.floor).toBe("1003-0");
});

test("what the store kept beyond the limit is dropped at the start", () => {
  expect(filled(2, 5)).toMatchObject({ floor: "1003-0", end: "1005-0" });
});

test("a message that does not come after the end is refused, whatever sent it", () => {
  const backlog = filled(10, 5);
  for (const id of ["1005-0", "1004-9", "7-0"] as const) {
    expect(() => backlog.push(say(id))).toThrow(RangeError);
  }
  expect(backlog.end).toBe("1005-0");
});

test("what is left of a long backlog comes with the next slices", () => {
  const backlog = filled(5000, SLICE_MESSAGES * 2 + 5);
  const sizes: number[] = [];
  let cursor: Cursor = "0";
  while (backlog.isBehind(cursor)) {
    const slice = backlog.after(cursor);
    sizes.push(slice.messages.length);
    cursor = slice.cursor;
  }
  expect(sizes).toEqual([SLICE_MESSAGES, SLICE_MESSAGES, 5]);
});

test("a slice has at most a mebibyte, in bytes and not in characters, and nothing falls between slices", () => {
  const text = "字".repeat(2000);
  const messages = Array.from({ length: 300 }, (_, n) => say(`${1001 + n}-0`, text));
  const backlog = new Backlog(1000, { floor, messages });
  const seen: Id[] = [];
  let cursor: Cursor = "0";
  for (let slices = 0; backlog.isBehind(cursor) && slices < 300; slices++) {
    const slice = backlog.after(cursor);
    expect(Buffer.byteLength(slice.json)).toBeLessThanOrEqual(SLICE_BYTES);
    seen.push(...slice.messages.map(({ id }) => id));
    cursor = slice.cursor;
  }
  expect(seen).toEqual(messages.map(({ id }) => id));
});

test("a message that alone is larger than a slice is handed over all the same", () => {
  const backlog = new Backlog(10, {
    floor,
    messages: [say("1001-0"), say("1002-0", "x".repeat(SLICE_BYTES))],
  });
  backlog.push(say("1003-0"));
  const first = backlog.after("0");
  const second = backlog.after(first.cursor);
  const third = backlog.after(second.cursor);
  expect([first, second, third].flatMap(({ messages }) => messages.map(({ id }) => id))).toEqual([
    "1001-0",
    "1002-0",
    "1003-0",
  ]);
});

test("the JSON of a slice is that of its messages, whatever is written in them", () => {
  const nasty = ['"', "\\", "</script>", "\u2028", "\0", "😀", "\ud800", "__proto__"];
  const messages = nasty.map((text, n) => say(`${1001 + n}-0`, text));
  const { json } = new Backlog(10, { floor, messages }).after("0");
  expect(JSON.parse(`[${json}]`)).toEqual(messages);
});

test("only 0 and ids are cursors", () => {
  for (const good of ["0", "0-0", "1700000000000-12", "18446744073709551615-18446744073709551615"]) {
    expect(isCursor(good), good).toBe(true);
  }
  const long = `${"9".repeat(21)}-0`;
  const bad = [
    "",
    "00",
    "1",
    "-1-0",
    "1-",
    "-",
    "1-0 ",
    " 1-0",
    "1-0\n",
    "1.5-0",
    "1e3-0",
    "٣-٣",
    "NaN-0",
    "now",
  ];
  for (const text of [...bad, long, "__proto__", "1-0-0", "0x1-0"]) expect(isCursor(text), text).toBe(false);
});

test("an end written with leading zeros is no cursor, or is the end; it is not behind for ever", () => {
  const backlog = filled(3, 1);
  const cursor = "01001-00";
  expect(isCursor(cursor) && backlog.isBehind(cursor)).toBe(false);
});

test("where processes share a store, a cursor that another was ahead with is waited for, and is no gap", () => {
  const now = Date.now();
  const floor = `${now - 2}-0` as const;
  const ahead = `${now}-0` as const;
  const shared = new Backlog(10, { floor, messages: [say(`${now - 1}-0`)] }, true);
  expect(shared.isBehind(ahead)).toBe(false);
  expect(shared.after(ahead)).toEqual({ cursor: ahead, messages: [], json: "", gap: false });
  shared.push(say(ahead));
  shared.push(say(`${now}-1`));
  expect(shared.isBehind(ahead)).toBe(true);
  expect(shared.after(ahead)).toMatchObject({ cursor: `${now}-1`, gap: false });
  // But nobody is an hour ahead.
  expect(shared.after(`${now + 3_600_000}-0`)).toMatchObject({ gap: true });
});

test("when messages were missed, whoever waits is told of a gap, and what comes next is all there is", () => {
  const backlog = new Backlog(10, { floor: "1000-0", messages: [say("1001-0"), say("1002-0")] });
  backlog.skipTo("2000-4");
  expect(backlog.isBehind("1002-0")).toBe(true);
  backlog.push(say("2000-5"));
  expect(backlog.after("1002-0")).toMatchObject({ cursor: "2000-5", gap: true, messages: [say("2000-5")] });
  expect(backlog.after("2000-4")).toMatchObject({ cursor: "2000-5", gap: false });
});
