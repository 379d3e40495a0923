/** The format of segments, damaged segments, and folders of format version 1. */
import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { decodeSegment, encode } from "../../src/store/file/segment.js";
import type { Stored } from "../../src/store/memory.js";
import { compare } from "../conformance/person.js";
import { lineOf, newestOf, newFolder, open, post, reopen } from "../faults/file-store.js";

const AT = 1718000000000;
const AFTER = `${AT}-0`;
const HEADER = { holdline: 2, after: AFTER };

// Hard for a reader that looks for the marks of a line.
const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({
    unit: fc.constantFrom('"', "{", "}", "\\", ",", '{"id":"', ',"crc":"', "\n", "\ufffd", "\ud800", "界"),
  }),
);
const anyKind = fc.constantFrom(undefined, "join" as const, "leave" as const);
const anyKey = fc.option(anyText, { nil: undefined });
const anyRecord = fc.record({ user: anyText, text: anyText, key: anyKey, kind: anyKind });
const anyMessages = fc.array(anyRecord, { maxLength: 8 }).map((all) =>
  all.map(({ user, text, key, kind }, n): Stored => {
    const at = AT + n + 1;
    return { message: { id: `${at}-0`, user, text, at, ...(kind && { kind }) }, key };
  }),
);
const linesOf = (messages: readonly Stored[], header: object = HEADER) =>
  [header, ...messages.map(({ message, key }) => ({ ...message, key }))].map((fields) =>
    Buffer.from(encode(fields)),
  );

describe("a segment", () => {
  test("that is cut at any byte keeps its complete lines, each one line of JSON, and reports no damage", () => {
    fc.assert(
      fc.property(anyMessages, fc.nat(), (messages, place) => {
        const lines = linesOf(messages);
        const bytes = Buffer.concat(lines);
        expect(decodeSegment(`${bytes}`)).toEqual({ after: AFTER, records: messages, damaged: 0 });
        const cut = bytes.subarray(0, place % bytes.length);
        const complete = `${cut}`.split("\n").slice(1, -1);
        expect(complete.map((line) => JSON.parse(line).id)).toEqual(
          messages.slice(0, complete.length).map(({ message }) => message.id),
        );
        const { records, damaged } = decodeSegment(`${cut}`);
        expect([records, damaged]).toEqual([messages.slice(0, complete.length), 0]);
      }),
    );
  });

  test("with any byte changed changes no message and loses only those of damaged lines", () => {
    const anyHeader = fc.constantFrom(HEADER, {
      holdline: 1,
      about: "Messages, oldest first.",
      floor: AFTER,
    });
    const anyChange = fc.integer({ min: 1, max: 255 });
    fc.assert(
      fc.property(anyHeader, anyMessages, fc.nat(), anyChange, (header, messages, place, change) => {
        const bytes = Buffer.concat(linesOf(messages, header));
        const at = place % bytes.length;
        const isEnd = bytes[at] === 10;
        bytes[at] = (bytes[at] ?? 0) ^ change;
        const { records, damaged } = decodeSegment(`${bytes}`);
        const ids = new Set(records.map(({ message }) => message.id));
        expect(records).toEqual(messages.filter(({ message }) => ids.has(message.id)));
        const lost = messages.length - records.length;
        // Without its end, a line is joined with the next one.
        expect(lost).toBeLessThanOrEqual(isEnd ? 2 : 1);
        if (lost > 0 && at < bytes.length - 1) expect(damaged).toBeGreaterThan(0);
      }),
      { numRuns: 1000 },
    );
  });

  test("with lines of anything between its records counts them and loses no message", () => {
    const junk = fc.oneof(
      fc.string({ minLength: 1 }).filter((text) => !text.includes("\n")),
      fc.constantFrom(
        "\0".repeat(5000),
        '{"id":"1-1","user":"eve","text":"hi","at":1}',
        encode(HEADER).trim(),
      ),
      fc.constant(encode({ ...HEADER, after: "18446744073709551615-0" }).trim()),
    );
    fc.assert(
      fc.property(anyMessages, junk, fc.nat(), (records, text, place) => {
        const lines = linesOf(records);
        lines.splice(1 + (place % lines.length), 0, Buffer.from(`${text}\n`));
        expect(decodeSegment(`${Buffer.concat(lines)}`)).toEqual({ after: AFTER, records, damaged: 1 });
      }),
    );
  });

  test("of any bytes at all is read without an error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ size: "large" }), (bytes) => {
        expect(decodeSegment(`${Buffer.from(bytes)}`).records).toEqual([]);
      }),
    );
  });
});

let folder = "";
let version1 = "";
beforeEach(() => {
  folder = newFolder();
  version1 = join(folder, "messages.jsonl");
});

test.each([
  ["a changed record", 1, ["a", "c"], (lines: string[]) => lines.map((line) => line.replace('"b"', '"x"'))],
  ["records out of order", 2, ["a", "c"], ([head, a, b, c]: string[]) => [head, a, c, b, a, ""]],
])(
  "a segment with %s loses nothing else, is reported, and is set aside as it was",
  async (_, count, found, harm) => {
    const { store, lastPrunedId } = await open(folder);
    await post(store, "abc");
    await store.close();
    const path = newestOf(folder);
    const damaged = harm(readFileSync(path, "utf8").split("\n")).join("\n");
    writeFileSync(path, damaged);
    const again = await open(folder);
    expect([again.found, again.lastPrunedId]).toEqual([found, lastPrunedId]);
    expect(again.said).toEqual([`${folder}: damaged lines in ${path} are skipped: ${count}`]);
    for (const text of "defgh") await post(again.store, text);
    expect(existsSync(path)).toBe(false);
    expect(readFileSync(`${path}.damaged`, "utf8")).toBe(damaged);
    const clean = await reopen(again.store, folder);
    expect([clean.found, clean.said]).toEqual([[..."efgh"], []]);
  },
);

test.each([
  ["an empty file", "", 0],
  ["a file of NULs", "\0".repeat(8192), 0],
  ["a file of something else", "once upon a time\n", 1],
])("%s instead of a segment hides no message", async (_, bytes, lines) => {
  writeFileSync(join(folder, "segment-1.jsonl"), bytes);
  const { store, found, lastPrunedId, said } = await open(folder);
  expect([found, said.length]).toEqual([[], lines]);
  const { id } = await store.append({ user: "ann", text: "a" });
  expect(compare(id, lastPrunedId)).toBeGreaterThan(0);
  const again = await reopen(store, folder);
  expect([again.found, again.lastPrunedId, again.said]).toEqual([["a"], lastPrunedId, []]);
});

test("acknowledged messages that are missing at the end of a segment are reported", async () => {
  const { store } = await open(folder, 10);
  for (const text of "ab") await post(store, text);
  const path = newestOf(folder);
  await (await reopen(store, folder)).store.close();
  truncateSync(path, statSync(path).size - 5);
  const again = await open(folder, 10);
  expect(again.found).toEqual(["a"]);
  expect(again.said).toEqual([`${folder}: messages before ${join(folder, "segment-2.jsonl")} are missing`]);
});

const HEAD = lineOf({ holdline: 1, about: "Messages, oldest first; crc is the CRC-32.", floor: AFTER });
/** The line of a message as version 1 wrote it. */
const old = (n: number, key?: string) =>
  lineOf({ id: `${AT + n}-0`, user: "ann", text: `old ${n}`, at: AT + n, ...(key && { key }) });

test("a segment whose header is damaged begins just before its first message, so older cursors get a gap", async () => {
  writeFileSync(join(folder, "segment-1.jsonl"), HEAD.replace("Messages", "Massages") + old(5) + old(6));
  const { lastPrunedId, found } = await open(folder);
  expect([found, lastPrunedId]).toEqual([["old 5", "old 6"], `${AT + 4}-0`]);
});

test("a folder of version 1 is read, and its file is deleted when newer messages replace it", async () => {
  writeFileSync(version1, HEAD + old(1) + old(2, "k") + old(3));
  const { store, found, lastPrunedId, said } = await open(folder);
  expect([found, lastPrunedId, said]).toEqual([["old 1", "old 2", "old 3"], AFTER, []]);
  const again = await store.append({ user: "ann", text: "old 2", key: "k" });
  expect(again.id).toBe(`${AT + 2}-0`);
  await post(store, ["new"]);
  const second = await reopen(store, folder);
  expect(second.found).toEqual(["old 1", "old 2", "old 3", "new"]);
  expect([second.lastPrunedId, second.said]).toEqual([AFTER, []]);
  for (const text of "abcdef") await post(second.store, text);
  expect(existsSync(version1)).toBe(false);
  expect((await reopen(second.store, folder)).found).toEqual([..."cdef"]);
});

test("an empty folder of version 1 continues after the id in its header", async () => {
  writeFileSync(version1, lineOf({ holdline: 1, floor: "9000000000000-5" }));
  const { store, lastPrunedId } = await open(folder);
  expect(lastPrunedId).toBe("9000000000000-5");
  expect((await store.append({ user: "ann", text: "a" })).id).toBe("9000000000000-6");
});

test("a file of a later version stops the start and stays as it is", async () => {
  const path = join(folder, "segment-1.jsonl");
  writeFileSync(path, lineOf({ holdline: 3, after: "1-0" }));
  await expect(open(folder)).rejects.toThrow("version 3 needs a newer holdline");
  expect(readFileSync(path, "utf8")).toContain('"holdline":3');
});
