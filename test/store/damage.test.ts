/** The format of segments, damaged segments, and folders of format version 1. */
import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { decodeSegment, encode } from "../../src/store/file/record.js";
import type { Stored } from "../../src/store/memory.js";
import { compareIds, lineOf, newestOf, newFolder, open, post, reopen } from "../faults/file-store.js";

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
  test("that is written is read, and each line is one line of JSON", () => {
    fc.assert(
      fc.property(anyMessages, (records) => {
        const bytes = Buffer.concat(linesOf(records));
        expect(decodeSegment(bytes)).toEqual({ after: AFTER, records, damaged: 0 });
        const lines = bytes.toString().trimEnd().split("\n");
        expect(lines.map((line) => JSON.parse(line))).toHaveLength(1 + records.length);
      }),
    );
  });

  test("that is cut at any byte keeps its complete lines and reports no damage", () => {
    fc.assert(
      fc.property(anyMessages, fc.nat(), (messages, place) => {
        const lines = linesOf(messages);
        const bytes = Buffer.concat(lines);
        const cut = bytes.subarray(0, place % bytes.length);
        let [complete, end] = [0, 0];
        for (const line of lines) {
          end += line.length;
          if (end <= cut.length) complete++;
        }
        const { records, damaged } = decodeSegment(cut);
        expect([records, damaged]).toEqual([messages.slice(0, Math.max(0, complete - 1)), 0]);
      }),
    );
  });

  test.each([
    ["version 2", HEADER],
    ["version 1", { holdline: 1, about: "Messages, oldest first.", floor: AFTER }],
  ])("of %s with any byte changed changes no message and loses only those of damaged lines", (_, header) => {
    fc.assert(
      fc.property(anyMessages, fc.nat(), fc.integer({ min: 1, max: 255 }), (messages, place, change) => {
        const bytes = Buffer.concat(linesOf(messages, header));
        const at = place % bytes.length;
        const isEnd = bytes[at] === 10;
        bytes[at] = (bytes[at] ?? 0) ^ change;
        const { records, damaged } = decodeSegment(bytes);
        const ids = new Set(records.map(({ message }) => message.id));
        expect(records).toEqual(messages.filter(({ message }) => ids.has(message.id)));
        const lost = messages.length - records.length;
        // Without its end, a line is joined with the next one.
        expect(lost).toBeLessThanOrEqual(isEnd ? 2 : 1);
        if (lost > 0 && at < bytes.length - 1) expect(damaged).toBeGreaterThan(0);
      }),
      { numRuns: 500 },
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
        expect(decodeSegment(Buffer.concat(lines))).toEqual({ after: AFTER, records, damaged: 1 });
      }),
    );
  });

  test("of any bytes at all is read without an error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ size: "large" }), (bytes) => {
        expect(decodeSegment(Buffer.from(bytes)).records).toEqual([]);
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

test("a message that was not written completely is ignored", async () => {
  const { store } = await open(folder);
  await post(store, ["a", "b"]);
  await store.close();
  const path = newestOf(folder);
  truncateSync(path, statSync(path).size - 5);
  const again = await open(folder);
  expect([again.found, again.said]).toEqual([["a"], []]);
  await post(again.store, "c");
  const clean = await reopen(again.store, folder);
  expect([clean.found, clean.said]).toEqual([["a", "c"], []]);
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
  ["an empty file", Buffer.alloc(0), 0],
  ["a file of NULs", Buffer.alloc(8192), 0],
  ["a file of something else", Buffer.from("once upon a time\n"), 1],
])("%s instead of a segment hides no message", async (_, bytes, lines) => {
  writeFileSync(join(folder, "segment-1.jsonl"), bytes);
  const { store, found, lastPrunedId, said } = await open(folder);
  expect([found, said.length]).toEqual([[], lines]);
  const { id } = await store.append({ user: "ann", text: "a" });
  expect(compareIds(id, lastPrunedId)).toBeGreaterThan(0);
  const again = await reopen(store, folder);
  expect([again.found, again.lastPrunedId, again.said]).toEqual([["a"], lastPrunedId, []]);
});

test("acknowledged messages that are missing at the end of a segment are reported", async () => {
  const { store } = await open(folder, 10);
  await post(store, ["a"]);
  await post(store, ["b"]);
  const path = newestOf(folder);
  await (await reopen(store, folder)).store.close();
  truncateSync(path, statSync(path).size - 5);
  const again = await open(folder, 10);
  expect(again.found).toEqual(["a"]);
  expect(again.said).toEqual([`${folder}: messages before ${join(folder, "segment-2.jsonl")} are missing`]);
});

test("a segment without a header keeps its messages", async () => {
  const { store } = await open(folder);
  await post(store, "ab");
  await store.close();
  const path = newestOf(folder);
  const [, ...lines] = readFileSync(path, "utf8").split("\n");
  writeFileSync(path, lines.join("\n"));
  const again = await open(folder);
  expect(again.found).toEqual(["a", "b"]);
  expect(compareIds(again.lastPrunedId, again.messages[0]?.id ?? "0-0")).toBeLessThan(0);
});

const HEAD = lineOf({ holdline: 1, about: "Messages, oldest first; crc is the CRC-32.", floor: AFTER });
/** The line of a message as version 1 wrote it. */
const old = (n: number, key?: string) =>
  lineOf({ id: `${AT + n}-0`, user: "ann", text: `old ${n}`, at: AT + n, ...(key && { key }) });

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

test.each([
  ["whose last line is incomplete", HEAD + old(1) + old(2) + old(3).slice(0, -9), ["old 1", "old 2"], false],
  ["with a damaged line", HEAD + old(1).replace("ol", "od") + old(2) + old(3), ["old 2", "old 3"], true],
])("a folder of version 1 %s keeps the other lines", async (_, bytes, kept, isDamaged) => {
  writeFileSync(version1, bytes);
  const { store, found } = await open(folder);
  expect(found).toEqual(kept);
  for (const text of "abcdef") await post(store, text);
  expect(existsSync(version1)).toBe(false);
  expect(existsSync(`${version1}.damaged`)).toBe(isDamaged);
});

test("an empty folder of version 1 continues after the id in its header", async () => {
  writeFileSync(version1, lineOf({ holdline: 1, floor: "9000000000000-5" }));
  const { store, lastPrunedId } = await open(folder);
  expect(lastPrunedId).toBe("9000000000000-5");
  expect((await store.append({ user: "ann", text: "a" })).id).toBe("9000000000000-6");
});

test("a file of version 1 that comes back beside segments hides none of their messages", async () => {
  const { store } = await open(folder);
  await post(store, ["new"]);
  await store.close();
  writeFileSync(version1, HEAD + old(1) + old(2));
  const again = await open(folder);
  expect(again.found).toEqual(["old 1", "old 2", "new"]);
  expect((await reopen(again.store, folder)).found).toEqual(["old 1", "old 2", "new"]);
});

test("a file of a later version stops the start and stays as it is", async () => {
  const path = join(folder, "segment-1.jsonl");
  writeFileSync(path, lineOf({ holdline: 3, after: "1-0" }));
  await expect(open(folder)).rejects.toThrow("version 3 needs a newer holdline");
  expect(readFileSync(path, "utf8")).toContain('"holdline":3');
});
