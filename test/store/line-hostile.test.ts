import { crc32 } from "node:zlib";
import { expect, test } from "vitest";
import { type Entry, encodeEntry, encodeHead, read } from "../../src/store/file/line.js";
import { entry, FIVE, FLOOR, fileOf, HEAD } from "./lines.js";

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

test("damage before a torn line is damage, not part of it", () => {
  const { bytes, starts } = fileOf(FIVE);
  const [fourth = 0, fifth = 0] = starts.slice(3);
  bytes.write("x", fourth + 3);
  const reading = read(bytes.subarray(0, bytes.length - 3));
  expect(reading).toMatchObject({ entries: FIVE.slice(0, 3), torn: fifth });
  expect(reading.faults).toEqual([{ at: fourth, what: `${fifth - fourth} unreadable bytes` }]);
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
  expect(first("1718000000001-3").lastPrunedId).toBe("1718000000001-2");
  expect(first("1718000000001-0").lastPrunedId).toBe(`1718000000000-${Number.MAX_SAFE_INTEGER}`);
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
