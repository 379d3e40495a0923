/** Damaged segments, and folders of format version 1. */
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import {
  compareIds,
  KEEP,
  lineOf,
  newestOf,
  newFolder,
  open,
  post,
  reopen,
  segmentsOf,
} from "../faults/file-store.js";

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

test("a damaged record is skipped and reported, and its segment is set aside as it was", async () => {
  const { store, lastPrunedId } = await open(folder);
  await post(store, "abc");
  await store.close();
  const path = newestOf(folder);
  const damaged = Buffer.from(readFileSync(path, "utf8").replace('"b"', '"x"'));
  writeFileSync(path, damaged);
  const again = await open(folder);
  expect([again.found, again.lastPrunedId]).toEqual([["a", "c"], lastPrunedId]);
  expect(again.said).toEqual([`${folder}: damaged lines in ${path} are skipped: 1`]);
  for (const text of "defgh") await post(again.store, text);
  expect(existsSync(path)).toBe(false);
  expect(readFileSync(`${path}.damaged`)).toEqual(damaged);
  const clean = await reopen(again.store, folder);
  expect([clean.found, clean.said]).toEqual([[..."efgh"], []]);
});

test("records out of order are skipped and reported, and their segment is set aside", async () => {
  const { store } = await open(folder);
  await post(store, "abc");
  await store.close();
  const path = newestOf(folder);
  const [header, a, b, c] = readFileSync(path, "utf8").split("\n");
  const disordered = `${[header, a, c, b, a].join("\n")}\n`;
  writeFileSync(path, disordered);
  const again = await open(folder);
  expect(again.found).toEqual(["a", "c"]);
  expect(again.said).toEqual([`${folder}: damaged lines in ${path} are skipped: 2`]);
  expect(readFileSync(`${path}.damaged`, "utf8")).toBe(disordered);
});

test.each([
  ["an empty file", Buffer.alloc(0)],
  ["a file of NULs", Buffer.alloc(8192)],
  ["a file of something else", Buffer.from("once upon a time\n")],
])("%s instead of a segment hides no message", async (_, bytes) => {
  writeFileSync(join(folder, "segment-1.jsonl"), bytes);
  const { store, found, lastPrunedId, said } = await open(folder);
  expect(found).toEqual([]);
  expect(said).toHaveLength(bytes.includes("\n") ? 1 : 0);
  const { id } = await store.append({ user: "ann", text: "a" });
  expect(compareIds(id, lastPrunedId)).toBeGreaterThan(0);
  const again = await reopen(store, folder);
  expect([again.found, again.lastPrunedId, again.said]).toEqual([["a"], lastPrunedId, []]);
});

test("a copy of a segment under another name repeats and hides no message", async () => {
  const { store } = await open(folder);
  for (const text of "abcdef") await post(store, text);
  await store.close();
  copyFileSync(segmentsOf(folder)[0] ?? "", join(folder, "segment-9.jsonl"));
  const again = await open(folder, 10);
  expect(again.found).toEqual([..."abcdef"]);
  expect(again.said).toEqual([expect.stringMatching(/segment-9\.jsonl are skipped: 4/)]);
  await post(again.store, "g");
  expect((await reopen(again.store, folder)).found).toEqual([..."defg"]);
});

test("acknowledged messages that are missing at the end of a segment are reported", async () => {
  const { store } = await open(folder, 10);
  await post(store, ["a"]);
  await post(store, ["b"]);
  const path = newestOf(folder);
  await store.close();
  await (await open(folder, 10)).store.close();
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

const AT = 1718000000000;
const HEAD = lineOf({
  holdline: 1,
  about:
    "Messages, oldest first, one JSON object a line; crc is the CRC-32 of what is before it in the line. Do not edit: a line that does not match its crc is set aside.",
  floor: `${AT}-0`,
});
/** The line of a message as version 1 wrote it. */
const old = (n: number, key?: string) =>
  lineOf({ id: `${AT + n}-0`, user: "ann", text: `old ${n}`, at: AT + n, ...(key && { key }) });

test("a folder of version 1 is read, and its file is deleted when newer messages replace it", async () => {
  writeFileSync(version1, HEAD + old(1) + old(2, "k") + old(3));
  const { store, found, lastPrunedId, said } = await open(folder);
  expect([found, lastPrunedId, said]).toEqual([["old 1", "old 2", "old 3"], `${AT}-0`, []]);
  const again = await store.append({ user: "ann", text: "old 2", key: "k" });
  expect(again.id).toBe(`${AT + 2}-0`);
  await post(store, ["new"]);
  const second = await reopen(store, folder);
  expect([second.found, second.lastPrunedId, second.said]).toEqual([
    ["old 1", "old 2", "old 3", "new"],
    `${AT}-0`,
    [],
  ]);
  for (const text of "abcdef") await post(second.store, text);
  expect(existsSync(version1)).toBe(false);
  expect((await reopen(second.store, folder)).found).toEqual([..."cdef"]);
});

test("a folder of version 1 whose last line is incomplete keeps the others", async () => {
  writeFileSync(version1, HEAD + old(1) + old(2) + old(3).slice(0, -9));
  const { store, found } = await open(folder);
  expect(found).toEqual(["old 1", "old 2"]);
  expect((await reopen(store, folder)).found).toEqual(["old 1", "old 2"]);
});

test("a folder of version 1 with a damaged line keeps the other lines, and the file is set aside", async () => {
  const bytes = HEAD + old(1).replace("old 1", "odd 1") + old(2) + old(3);
  writeFileSync(version1, bytes);
  const { store, found, said } = await open(folder);
  expect([found, said]).toEqual([["old 2", "old 3"], [expect.stringContaining("damaged")]]);
  for (const text of "abcdef") await post(store, text);
  expect(readFileSync(`${version1}.damaged`, "utf8")).toBe(bytes);
});

test("an empty folder of version 1 goes on from the id in its header", async () => {
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
  const again = await open(folder, KEEP);
  expect(again.found).toEqual(["old 1", "old 2", "new"]);
  expect((await reopen(again.store, folder)).found).toEqual(["old 1", "old 2", "new"]);
});

test("a file of a later version stops the start and stays as it is", async () => {
  const path = join(folder, "segment-1.jsonl");
  writeFileSync(path, lineOf({ holdline: 3, after: "1-0" }));
  await expect(open(folder)).rejects.toThrow("version 3 needs a newer holdline");
  expect(readdirSync(folder)).toContain("segment-1.jsonl");
});
