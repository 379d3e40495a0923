import { crc32 } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeEntry, read } from "../../src/store/file/line.js";
import { anyEntries, anyText, entry, FIVE, FLOOR, fileOf, HEAD } from "./lines.js";

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
