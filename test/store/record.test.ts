/** The format of segments: what is written is read, and damage costs only what is damaged. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeSegment, encode, type Stored } from "../../src/store/file/record.js";
import { lineOf } from "../faults/file-store.js";

const AFTER = "1718000000000-0";
const HEADER = encode({ holdline: 2, sequence: 7, after: AFTER });

function stored(n: number, text = `message ${n}`): Stored {
  const at = 1718000000000 + n;
  return { message: { id: `${at}-0`, user: "ann", text, at }, key: n % 2 ? `key ${n}` : undefined };
}

/** A segment, and where each of its messages begins. */
function segmentOf(messages: readonly Stored[], header = HEADER): { bytes: Buffer; starts: number[] } {
  const starts: number[] = [];
  let at = header.length;
  const lines = messages.map(({ message, key }) => Buffer.from(encode({ ...message, key })));
  for (const line of lines) {
    starts.push(at);
    at += line.length;
  }
  return { bytes: Buffer.concat([Buffer.from(header), ...lines]), starts };
}

const FIVE = [1, 2, 3, 4, 5].map((n) => stored(n));

// Hard for a reader that finds lines by their marks.
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
    { maxLength: 12 },
  )
  .map((all) =>
    all.map(({ user, text, key, kind }, n): Stored => {
      const { id, at } = stored(n + 1).message;
      return { message: { id, user, text, at, ...(kind && { kind }) }, key };
    }),
  );

test("what is written is read", () => {
  fc.assert(
    fc.property(anyMessages, (messages) => {
      const { bytes } = segmentOf(messages);
      expect(decodeSegment(bytes)).toEqual({
        header: { sequence: 7, after: AFTER },
        stored: messages,
        damaged: 0,
        truncated: 0,
      });
    }),
  );
});

test("a line is one line of JSON", () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const line = encode(stored(1, text).message);
      expect(line.indexOf("\n")).toBe(line.length - 1);
      expect(JSON.parse(line)).toMatchObject({ user: "ann" });
    }),
  );
});

test("a segment that is cut at any byte of its last two lines keeps its complete lines", () => {
  const { bytes, starts } = segmentOf(FIVE);
  const [fourth = 0, fifth = 0] = starts.slice(3);
  for (let size = fourth; size < bytes.length; size++) {
    const content = decodeSegment(bytes.subarray(0, size));
    // A line that lacks only its newline is complete.
    const count = size < fifth - 1 ? 3 : size < bytes.length - 1 ? 4 : 5;
    expect(content.stored).toEqual(FIVE.slice(0, count));
    const end = [fourth, fifth, bytes.length][count - 3] ?? 0;
    expect([content.damaged, content.truncated]).toEqual([0, Math.max(0, size - end)]);
  }
});

test.each([
  ["a segment", HEADER],
  ["a file of version 1", encode({ holdline: 1, about: "Messages, oldest first.", floor: AFTER })],
])("%s with any byte changed keeps every other message", (_, header) => {
  fc.assert(
    fc.property(anyMessages, fc.nat(), fc.integer({ min: 1, max: 255 }), (messages, place, change) => {
      const { bytes, starts } = segmentOf(messages, header);
      const at = place % bytes.length;
      bytes[at] = (bytes[at] ?? 0) ^ change;
      const content = decodeSegment(bytes);
      const line = starts.findLastIndex((start) => start <= at);
      const isNewline = at + 1 === bytes.length || at + 1 === header.length || starts.includes(at + 1);
      expect(content.stored).toEqual(messages.filter((_, i) => i !== line || isNewline));
      expect(content.damaged + content.truncated).toBeGreaterThan(0);
    }),
    { numRuns: 1000 },
  );
});

test("any bytes between two lines cost no message", () => {
  const junk = fc.oneof(
    fc.uint8Array({ minLength: 1 }),
    fc.string({ minLength: 1 }),
    fc.constant("\0".repeat(5000)),
    fc.constant('{"id":"1-1","user":"eve","text":"hi","at":1}\n'.repeat(1000)),
  );
  fc.assert(
    fc.property(junk, fc.nat({ max: 4 }), (bytes, place) => {
      const segment = segmentOf(FIVE);
      const at = segment.starts[place] ?? 0;
      const parts = [segment.bytes.subarray(0, at), Buffer.from(bytes), segment.bytes.subarray(at)];
      const content = decodeSegment(Buffer.concat(parts));
      expect(content.stored).toEqual(FIVE);
      expect(content.damaged).toBe(Buffer.from(bytes).length);
    }),
  );
});

test("any bytes at all are read without an error", () => {
  fc.assert(
    fc.property(fc.uint8Array({ size: "large" }), (bytes) => {
      expect(decodeSegment(Buffer.from(bytes)).stored).toEqual([]);
    }),
  );
});

test("line ends of another system cost no message", () => {
  const { bytes } = segmentOf(FIVE);
  expect(decodeSegment(Buffer.from(bytes.toString().replaceAll("\n", "\r\n"))).stored).toEqual(FIVE);
});

test("a second header, as in two files that were joined, is damage", () => {
  const { bytes } = segmentOf(FIVE);
  const content = decodeSegment(
    Buffer.concat([bytes, Buffer.from(encode({ holdline: 2, sequence: 8, after: "5-0" }))]),
  );
  expect(content).toMatchObject({ header: { sequence: 7, after: AFTER }, stored: FIVE });
  expect(content.damaged).toBeGreaterThan(0);
});

test("a header with an absurd id is damage", () => {
  const { bytes } = segmentOf(FIVE, lineOf({ holdline: 2, sequence: 7, after: "18446744073709551615-0" }));
  expect(decodeSegment(bytes)).toMatchObject({ header: undefined, stored: FIVE });
});

test("a file of a later version is an error", () => {
  expect(() => decodeSegment(Buffer.from(lineOf({ holdline: 3, after: AFTER })))).toThrow("version 3");
});
