import { crc32 } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Entry, encodeEntry, encodeHead, read } from "../../src/store/line.js";

const FLOOR = "1718000000000-0";
const HEAD = encodeHead(FLOOR);

function entry(n: number, text = `message ${n}`): Entry {
  const at = 1718000000000 + n;
  return { message: { id: `${at}-0`, user: "ann", text, at }, key: n % 2 ? `key ${n}` : undefined };
}

/** A file of whole lines, and where each of its messages begins. */
function fileOf(entries: readonly Entry[]): { bytes: Buffer; starts: number[] } {
  const starts: number[] = [];
  let at = HEAD.length;
  const lines = entries.map(encodeEntry);
  for (const line of lines) {
    starts.push(at);
    at += line.length;
  }
  return { bytes: Buffer.concat([HEAD, ...lines]), starts };
}

const FIVE = [1, 2, 3, 4, 5].map((n) => entry(n));

// What is hard on a reader that knows lines by their marks.
const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({
    unit: fc.constantFrom('"', "{", "}", "\\", ",", '{"', ',"crc":"', "\n", "\ufffd", "\ud800", "界"),
  }),
);
const anyEntries = fc
  .array(
    fc.record({
      user: anyText,
      text: anyText,
      key: fc.option(anyText, { nil: undefined }),
      kind: fc.constantFrom(undefined, "join" as const, "leave" as const),
    }),
    { maxLength: 12 },
  )
  .map((said) =>
    said.map(({ user, text, key, kind }, n): Entry => {
      const { id, at } = entry(n + 1).message;
      return { message: { id, user, text, at, ...(kind && { kind }) }, key };
    }),
  );

test("what is written is read, whatever is in it", () => {
  fc.assert(
    fc.property(anyEntries, (entries) => {
      expect(read(fileOf(entries).bytes)).toEqual({ floor: FLOOR, entries, faults: [], torn: undefined });
    }),
  );
});

test("a line is one line of JSON, and its crc is zlib's", () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const line = encodeEntry(entry(1, text));
      expect(line.indexOf("\n")).toBe(line.length - 1);
      const { crc, ...message } = JSON.parse(line.toString());
      expect(message).toMatchObject({ key: "key 1", user: "ann" });
      expect(Number.parseInt(crc, 16)).toBe(crc32(line.subarray(0, line.indexOf(',"crc":"'))));
    }),
  );
});

test("the head says what the file is", () => {
  expect(JSON.parse(HEAD.toString())).toMatchObject({
    holdline: 1,
    floor: FLOOR,
    about: /one JSON object a line/,
  });
});

test("cut at any byte of its last two lines, a file keeps its whole lines and says what is torn", () => {
  const { bytes, starts } = fileOf(FIVE);
  const [fourth = 0, fifth = 0] = starts.slice(3);
  for (let size = fourth; size < bytes.length; size++) {
    const { entries, faults, torn } = read(bytes.subarray(0, size));
    // A line that lacks only its newline is whole.
    const count = size < fifth - 1 ? 3 : size < bytes.length - 1 ? 4 : 5;
    expect(entries).toEqual(FIVE.slice(0, count));
    expect(faults).toEqual([]);
    const end = [fourth, fifth, bytes.length][count - 3] ?? 0;
    expect(torn).toBe(size === fourth || size === fifth ? undefined : Math.min(end, size));
  }
});

test("with any byte changed, a file keeps every other line and says where it is damaged", () => {
  fc.assert(
    fc.property(anyEntries, fc.nat(), fc.integer({ min: 1, max: 255 }), (entries, place, change) => {
      const { bytes, starts } = fileOf(entries);
      const at = place % bytes.length;
      bytes[at] = (bytes[at] ?? 0) ^ change;
      const reading = read(bytes);
      const line = starts.findLastIndex((start) => start <= at);
      const isNewline = at + 1 === bytes.length || at + 1 === HEAD.length || starts.includes(at + 1);
      expect(reading.entries).toEqual(entries.filter((_, i) => i !== line || isNewline));
      if (at + 1 === bytes.length) expect(reading.torn).toBe(at);
      else
        expect(reading.faults).toContainEqual({
          at: isNewline ? at : (starts[line] ?? 0),
          what: expect.any(String),
        });
    }),
    { numRuns: 1000 },
  );
});

test("with any bytes put between two lines, all lines are kept, and it is said", () => {
  const junk = fc.oneof(
    fc.uint8Array({ minLength: 1 }),
    fc.string({ minLength: 1 }),
    fc.constant("\0".repeat(5000)),
  );
  fc.assert(
    fc.property(junk, fc.nat({ max: 4 }), (bytes, place) => {
      const file = fileOf(FIVE);
      const at = file.starts[place] ?? 0;
      const reading = read(
        Buffer.concat([file.bytes.subarray(0, at), Buffer.from(bytes), file.bytes.subarray(at)]),
      );
      expect(reading.entries).toEqual(FIVE);
      // Line ends alone belong to nobody either.
      expect(reading.faults.length).toBeGreaterThan(0);
    }),
  );
});

test("any bytes at all are read without an error", () => {
  fc.assert(
    fc.property(fc.uint8Array({ size: "large" }), (bytes) => {
      expect(read(Buffer.from(bytes)).entries).toEqual([]);
    }),
  );
});

test("a file of NULs, as a power cut leaves it, holds nothing, and it is said", () => {
  const reading = read(Buffer.alloc(1_000_000));
  expect(reading).toMatchObject({ entries: [], floor: undefined, torn: 0 });
  expect(reading.faults).toEqual([{ at: 0, what: "no head" }]);
});

test("NULs at the end are a torn line, NULs before whole lines are damage", () => {
  const { bytes } = fileOf(FIVE);
  expect(read(Buffer.concat([bytes, Buffer.alloc(4096)]))).toMatchObject({
    entries: FIVE,
    torn: bytes.length,
  });
  bytes.fill(0, HEAD.length, HEAD.length + 20);
  expect(read(bytes)).toMatchObject({ entries: FIVE.slice(1), torn: undefined });
  expect(read(bytes).faults).toEqual([
    { at: HEAD.length, what: expect.stringMatching(/^\d+ unreadable bytes$/) },
  ]);
});

test("an empty file has no head", () => {
  expect(read(Buffer.alloc(0))).toEqual({
    floor: undefined,
    entries: [],
    faults: [{ at: 0, what: "no head" }],
    torn: undefined,
  });
});

test("a huge line costs only itself", () => {
  const { bytes } = fileOf(FIVE);
  const huge = Buffer.alloc(20_000_000, '{"id":"');
  const reading = read(Buffer.concat([HEAD, huge, Buffer.from("\n"), bytes.subarray(HEAD.length)]));
  expect(reading.entries).toEqual(FIVE);
  expect(reading.faults).toEqual([{ at: HEAD.length, what: `${huge.length + 1} unreadable bytes` }]);
});

test("another program's lines cost only themselves", () => {
  const { bytes } = fileOf(FIVE);
  const others = Buffer.from('{"id":"1-1","user":"eve","text":"hi","at":1}\n'.repeat(20_000));
  const reading = read(Buffer.concat([HEAD, others, bytes.subarray(HEAD.length)]));
  expect(reading.entries).toEqual(FIVE);
  expect(reading.faults).toEqual([{ at: HEAD.length, what: `${others.length} unreadable bytes` }]);
});

test.each([
  ["not UTF-8", Buffer.from('{"id":"1718000000009-0","user":"\xff","text":"","at":1', "latin1")],
  ["not JSON", Buffer.from('{"id":"1718000000009-0"')],
  ["without a text", Buffer.from('{"id":"1718000000009-0","user":"ann","at":1')],
  ["with a wrong id", Buffer.from('{"id":"x","user":"ann","text":"","at":1')],
  ["with a wrong time", Buffer.from('{"id":"1718000000009-0","user":"ann","text":"","at":"1"')],
  ["with a wrong kind", Buffer.from('{"id":"1718000000009-0","user":"ann","text":"","at":1,"kind":"x"')],
  ["with a wrong key", Buffer.from('{"id":"1718000000009-0","user":"ann","text":"","at":1,"key":1')],
  ["of a head without a floor", Buffer.from('{"holdline":1')],
])("a line %s is no message, even when its crc is right", (_, body) => {
  const line = Buffer.concat([body, Buffer.from(`,"crc":"${crc32(body).toString(16).padStart(8, "0")}"}\n`)]);
  const { bytes } = fileOf(FIVE);
  const reading = read(Buffer.concat([bytes, line]));
  expect(reading.entries).toEqual(FIVE);
  expect(reading.faults).toEqual([{ at: bytes.length, what: `${line.length} unreadable bytes` }]);
});

test("lines out of order are put in order, and it is said", () => {
  const [a, b, c] = FIVE as [Entry, Entry, Entry];
  const reading = read(Buffer.concat([HEAD, ...[c, a, b].map(encodeEntry)]));
  expect(reading.entries).toEqual([a, b, c]);
  expect(reading.faults.map(({ what }) => what)).toEqual([
    `message ${a.message.id} comes after ${c.message.id}`,
    `message ${b.message.id} comes after ${c.message.id}`,
  ]);
});

test("of two lines with one id the first is kept, and it is said", () => {
  const [a, b] = FIVE as [Entry, Entry];
  const { bytes } = fileOf([a, b]);
  const reading = read(Buffer.concat([bytes, encodeEntry(entry(2, "another"))]));
  expect(reading.entries).toEqual([a, b]);
  expect(reading.faults).toEqual([
    { at: bytes.length, what: `message ${b.message.id} comes after ${b.message.id}` },
  ]);
});

test("without its head a file claims to know nothing of what was before its first message", () => {
  const first = (id: `${number}-${number}`) =>
    read(encodeEntry({ message: { id, user: "ann", text: "", at: 1 }, key: undefined }));
  expect(first("1718000000001-3").floor).toBe("1718000000001-2");
  expect(first("1718000000001-0").floor).toBe(`1718000000000-${Number.MAX_SAFE_INTEGER}`);
  expect(first("1718000000001-0").faults).toEqual([{ at: 0, what: "no head" }]);
});

test("a second head, as when two files are joined, is said, and the first one holds", () => {
  const { bytes } = fileOf(FIVE);
  const reading = read(Buffer.concat([bytes, encodeHead("5-0")]));
  expect(reading).toMatchObject({ floor: FLOOR, entries: FIVE });
  expect(reading.faults).toEqual([{ at: bytes.length, what: "a head that is not the first line" }]);
});

test("a head that lies above the first message is not believed", () => {
  const { bytes } = fileOf(FIVE);
  const reading = read(Buffer.concat([encodeHead("1718000000003-0"), bytes.subarray(HEAD.length)]));
  expect(reading).toMatchObject({ floor: `1718000000000-${Number.MAX_SAFE_INTEGER}`, entries: FIVE });
});

test("line ends of another system cost no message", () => {
  const { bytes } = fileOf(FIVE);
  const reading = read(Buffer.from(bytes.toString().replaceAll("\n", "\r\n")));
  expect(reading).toMatchObject({ floor: FLOOR, entries: FIVE });
  expect(reading.faults.length).toBeGreaterThan(0);
});

test("a file of a later version is not touched", () => {
  const body = '{"holdline":2,"floor":"1-0"';
  const crc = crc32(body).toString(16).padStart(8, "0");
  expect(() => read(Buffer.from(`${body},"crc":"${crc}"}\n`))).toThrow("version 2");
});
