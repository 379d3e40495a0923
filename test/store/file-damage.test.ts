import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { compareIds } from "../../src/feed/id.js";
import { encodeHead } from "../../src/store/file/line.js";
import type { FileStore } from "../../src/store/file.js";
import { linesOf, newFolder, open, post, reopen } from "../faults/file-store.js";

let folder = "";
let path = "";
beforeEach(() => {
  folder = newFolder();
  path = join(folder, "messages.jsonl");
});
afterEach(() => {
  vi.useRealTimers();
});

const restart = (store: FileStore) => reopen(store, folder);
const lines = () => linesOf(folder);

test("a torn last line is cut off and said, and nothing is set aside", async () => {
  const { store } = await open(folder);
  await post(store, ["a", "b"]);
  await store.close();
  const size = statSync(path).size;
  const last = lines()[1] ?? "";
  writeFileSync(path, readFileSync(path).subarray(0, size - 5));
  const again = await open(folder);
  expect(again.found).toEqual(["a"]);
  const at = size - last.length - 1;
  expect(again.said).toEqual([
    `${path}: the last line was not written to its end; ${last.length - 4} bytes at byte ${at} are cut off`,
  ]);
  expect(readdirSync(folder).filter((name) => name.includes("damaged"))).toEqual([]);
  await post(again.store, "c");
  const clean = await restart(again.store);
  expect(clean.found).toEqual(["a", "c"]);
  expect(clean.said).toEqual([]);
});

test("damage is said with file and offset, what is whole is kept, and the file is set aside as it was", async () => {
  const { store, floor } = await open(folder);
  await post(store, "abc");
  await store.close();
  const damaged = Buffer.from(readFileSync(path, "utf8").replace('"b"', '"x"'));
  writeFileSync(path, damaged);
  const at = damaged.lastIndexOf("{", damaged.indexOf('"x"'));
  const again = await open(folder);
  expect(again.found).toEqual(["a", "c"]);
  expect(again.lastPrunedId).toBe(floor);
  const aside = join(folder, readdirSync(folder).find((name) => name.includes("damaged")) ?? "");
  expect(again.said).toEqual([
    expect.stringMatching(`^${path}: \\d+ unreadable bytes at byte ${at}$`),
    `${path}: what could be read is kept; the file as it was is ${aside}`,
  ]);
  expect(readFileSync(aside)).toEqual(damaged);
  await post(again.store, "d");
  expect(readFileSync(aside)).toEqual(damaged);
  const clean = await restart(again.store);
  expect(clean.found).toEqual(["a", "c", "d"]);
  expect(clean.said).toEqual([]);
});

test.each([
  ["an empty file", Buffer.alloc(0)],
  ["a file of NULs", Buffer.alloc(8192)],
  ["a file of something else", Buffer.from("once upon a time\n")],
])("%s is begun anew, and it is said", async (_, bytes) => {
  writeFileSync(path, bytes);
  const { store, found, floor, said } = await open(folder);
  expect(found).toEqual([]);
  expect(said[0]).toBe(`${path}: no head at byte 0`);
  const { id } = await store.append({ user: "ann", text: "a" });
  expect(compareIds(id, floor as typeof id)).toBeGreaterThan(0);
  const again = await restart(store);
  expect([again.found, again.lastPrunedId, again.said]).toEqual([["a"], floor, []]);
});

test("an empty store whose head lies in the future goes on from there", async () => {
  writeFileSync(path, encodeHead("9000000000000-5"));
  const { store, floor } = await open(folder);
  expect(floor).toBe("9000000000000-5");
  expect((await store.append({ user: "ann", text: "a" })).id).toBe("9000000000000-6");
});

test.each([
  ["a folder in the file's place", "", () => mkdirSync(path), "EISDIR"],
  ["a broken secret", "", () => writeFileSync(join(folder, "secret"), "x"), "holds no secret"],
  ["a file in the folder's place", "x", () => writeFileSync(join(folder, "x"), ""), "EEXIST"],
  ["a file above the folder", "x/y", () => writeFileSync(join(folder, "x"), ""), "ENOTDIR"],
])("%s is one line that says what is wrong, and leaves no lock", async (_, under, spoil, reason) => {
  spoil();
  const target = join(folder, under);
  const error: unknown = await open(target).catch((error) => error);
  expect(String(error)).toMatch(`Error: cannot keep messages in ${target}: `);
  expect(String(error)).toContain(reason);
  expect(String(error)).not.toContain("\n");
  expect(readdirSync(folder).filter((name) => name.startsWith("lock"))).toEqual([]);
});
