/** The format of segments: what is written is read, and damage costs only the damaged lines. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Stored } from "../../src/store/appender.js";
import { decodeSegment, encode } from "../../src/store/file/record.js";
import { lineOf } from "../faults/file-store.js";

const AFTER = "1718000000000-0";
const HEADER = { holdline: 2, sequence: 7, after: AFTER };

function stored(n: number, text = `message ${n}`): Stored {
  const at = 1718000000000 + n;
  return { message: { id: `${at}-0`, user: "ann", text, at }, key: n % 2 ? `key ${n}` : undefined };
}

/** The lines of a segment. */
function linesOf(messages: readonly Stored[], header: object = HEADER): Buffer[] {
  const records = messages.map(({ message, key }) => ({ ...message, key }));
  return [header, ...records].map((fields) => Buffer.from(encode(fields)));
}

const FIVE = [1, 2, 3, 4, 5].map((n) => stored(n));

// Hard for a reader that looks for the marks of a line.
const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({
    unit: fc.constantFrom('"', "{", "}", "\\", ",", '{"id":"', ',"crc":"', "\n", "\ufffd", "\ud800", "界"),
  }),
);
const anyMessages = fc
  .array(
    fc.record({
      user: anyText,
      text: anyText,
      key: fc.option(anyText, { nil: undefined }),
      kind: fc.constantFrom(undefined, "join" as const, "leave" as const),
    }),
    { maxLength: 8 },
  )
  .map((all) =>
    all.map(({ user, text, key, kind }, n): Stored => {
      const { id, at } = stored(n + 1).message;
      return { message: { id, user, text, at, ...(kind && { kind }) }, key };
    }),
  );

test("a segment that is written is read, and each line is one line of JSON", () => {
  fc.assert(
    fc.property(anyMessages, (messages) => {
      const bytes = Buffer.concat(linesOf(messages));
      const { header, ...content } = decodeSegment(bytes);
      expect(header).toEqual({ sequence: 7, after: AFTER });
      expect(content).toEqual({ records: messages, damaged: 0 });
      const lines = bytes.toString().trimEnd().split("\n");
      expect(lines.map((line) => JSON.parse(line))).toHaveLength(1 + messages.length);
    }),
  );
});

test("a segment that is cut at any byte keeps its complete lines and reports no damage", () => {
  const lines = linesOf(FIVE);
  const bytes = Buffer.concat(lines);
  let end = 0;
  for (const [n, line] of lines.entries()) {
    for (let size = end; size < end + line.length; size++) {
      const { records, damaged } = decodeSegment(bytes.subarray(0, size));
      expect([records, damaged]).toEqual([FIVE.slice(0, Math.max(0, n - 1)), 0]);
    }
    end += line.length;
  }
});

test.each([
  ["a segment", HEADER],
  ["a file of version 1", { holdline: 1, about: "Messages, oldest first.", floor: AFTER }],
])("%s with any byte changed changes no message and loses only those of the damaged lines", (_, header) => {
  fc.assert(
    fc.property(anyMessages, fc.nat(), fc.integer({ min: 1, max: 255 }), (messages, place, change) => {
      const lines = linesOf(messages, header);
      const bytes = Buffer.concat(lines);
      const at = place % bytes.length;
      bytes[at] = (bytes[at] ?? 0) ^ change;
      const { records, damaged } = decodeSegment(bytes);
      const ids = new Set(records.map(({ message }) => message.id));
      expect(records).toEqual(messages.filter(({ message }) => ids.has(message.id)));
      const lost = messages.length - records.length;
      expect(lost).toBeLessThanOrEqual(1);
      if (lost > 0 && at < bytes.length - 1) expect(damaged).toBeGreaterThan(0);
    }),
    { numRuns: 500 },
  );
});

test("a damaged line end costs no message", () => {
  const lines = linesOf(FIVE);
  for (const end of ["", " ", "\0", "}", '"', "\ufffd"]) {
    const text = lines.map((line) => line.toString().trimEnd()).join(end);
    expect(decodeSegment(Buffer.from(`${text}\n`))).toMatchObject({ records: FIVE, damaged: 0 });
  }
});

test("lines of anything between records are counted and cost no message", () => {
  const junk = fc.oneof(
    fc.string({ minLength: 1 }).filter((text) => !text.includes("\n")),
    fc.constant("\0".repeat(5000)),
    fc.constant('{"id":"1-1","user":"eve","text":"hi","at":1}'),
  );
  fc.assert(
    fc.property(junk, fc.integer({ min: 1, max: 5 }), (text, place) => {
      const lines = linesOf(FIVE);
      lines.splice(place, 0, Buffer.from(`${text}\n`));
      const { records, damaged } = decodeSegment(Buffer.concat(lines));
      expect([records, damaged]).toEqual([FIVE, 1]);
    }),
  );
});

test("any bytes at all are read without an error", () => {
  fc.assert(
    fc.property(fc.uint8Array({ size: "large" }), (bytes) => {
      expect(decodeSegment(Buffer.from(bytes)).records).toEqual([]);
    }),
  );
});

test("line ends of another system cost no message", () => {
  const text = Buffer.concat(linesOf(FIVE)).toString();
  expect(decodeSegment(Buffer.from(text.replaceAll("\n", "\r\n"))).records).toEqual(FIVE);
});

test("a second header, as in two files that were joined, is damage", () => {
  const bytes = Buffer.concat([...linesOf(FIVE), Buffer.from(encode({ ...HEADER, sequence: 8 }))]);
  expect(decodeSegment(bytes)).toEqual({
    header: { sequence: 7, after: AFTER },
    records: FIVE,
    damaged: 1,
  });
});

test("a header with an absurd id is damage", () => {
  const bytes = Buffer.concat(linesOf(FIVE, { ...HEADER, after: "18446744073709551615-0" }));
  expect(decodeSegment(bytes)).toEqual({ header: undefined, records: FIVE, damaged: 1 });
});

test("a file of a later version is an error", () => {
  expect(() => decodeSegment(Buffer.from(lineOf({ holdline: 3, after: AFTER })))).toThrow("version 3");
});
