/** What waits for the disk, what does not, and what waits together. */
import { readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { disk } from "./file-disk.js";
import { newFolder, open, post } from "./file-store.js";

vi.mock("node:fs/promises", async (original) =>
  (await import("./file-disk.js")).held(await original<object>()),
);

let folder = "";
beforeEach(async () => {
  folder = newFolder();
  // Opened once more, so that only the file of a rewrite goes by the name of a new one.
  await (await open(folder)).store.close();
});
afterEach(() => disk.reset());

/** Holds back the next call on a file; gives when it was reached, and what lets it go on. */
function holdBack(call: string, file: string): { reached: Promise<void>; goOn: () => void } {
  let goOn = () => {};
  const free = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const reached = new Promise<void>((resolve) => {
    disk.around = async (step, run) => {
      if (step.call !== call || step.file !== file) return run();
      resolve();
      await free;
      return run();
    };
  });
  return { reached, goOn };
}

/** Counts the calls on the message file. */
function counted(): Map<string, number> {
  const counts = new Map<string, number>();
  disk.around = (step, run) => {
    if (step.file === "messages.jsonl") counts.set(step.call, (counts.get(step.call) ?? 0) + 1);
    return run();
  };
  return counts;
}

test("a post is neither answered nor shown before its bytes are synced", async () => {
  const { store, shown } = await open(folder);
  const { reached, goOn } = holdBack("datasync", "messages.jsonl");
  let answered = false;
  const first = post(store, ["a"]).then(() => {
    answered = true;
  });
  await reached;
  // In the file, and still nobody's.
  expect(readFileSync(join(folder, "messages.jsonl"), "utf8")).toContain('"text":"a"');
  expect([shown, answered]).toEqual([[], false]);
  goOn();
  await first;
  expect([shown, answered]).toEqual([["a"], true]);
});

test("posts that come together share one write and one sync", async () => {
  const { store, shown } = await open(folder);
  const counts = counted();
  await post(store, "abcdefgh");
  expect(shown).toEqual([..."abcdefgh"]);
  expect(counts).toEqual(
    new Map([
      ["appendFile", 1],
      ["datasync", 1],
      ["stat", 1],
    ]),
  );
});

test("posts that come while the disk is busy share the next sync, and none is left behind", async () => {
  const { store, shown } = await open(folder, 100);
  const { reached, goOn } = holdBack("datasync", "messages.jsonl");
  const first = post(store, ["a"]);
  await reached;
  const others = post(store, "bcdefgh");
  const counts = counted();
  goOn();
  await Promise.all([first, others]);
  expect(counts.get("datasync")).toBe(1);
  expect(shown).toEqual([..."abcdefgh"]);
});

test("posts do not wait for a rewrite, and are in the new file", async () => {
  const { store, shown } = await open(folder);
  const { reached, goOn } = holdBack("datasync", "messages.jsonl.new");
  await post(store, "abcdefghi");
  await reached;
  for (const text of "jklm") expect((await post(store, [text])).kept).toEqual([text]);
  const path = join(folder, "messages.jsonl");
  expect(readFileSync(path, "utf8").trim().split("\n")).toHaveLength(14);
  goOn();
  await store.close();
  // The four that were needed when it began, and those since.
  expect(readFileSync(path, "utf8").trim().split("\n")).toHaveLength(9);
  expect(shown).toEqual([..."abcdefghijklm"]);
  expect((await open(folder)).found).toEqual([..."jklm"]);
});

test("a file that was rewritten is left alone until it has twice what is needed again", async () => {
  const { store } = await open(folder);
  let rewrites = 0;
  disk.around = (step, run) => {
    if (step.call === "rename") rewrites++;
    return run();
  };
  for (let n = 0; n < 40; n++) await post(store, [`${n}`]);
  await store.close();
  expect(rewrites).toBeGreaterThan(3);
  expect(rewrites).toBeLessThanOrEqual(10);
});

test("closing waits for a rewrite under way", async () => {
  const { store } = await open(folder);
  const { reached, goOn } = holdBack("datasync", "messages.jsonl.new");
  await post(store, "abcdefghi");
  await reached;
  const closing = store.close();
  await expect(open(folder)).rejects.toThrow("another process uses it");
  goOn();
  await closing;
  const again = await open(folder);
  expect(again.found).toEqual([..."fghi"]);
  expect(again.said).toEqual([]);
});

test("the names of new folders are synced into the folders above them", async () => {
  const synced = new Set<string>();
  disk.around = (step, run) => {
    if (step.call === "sync") synced.add(step.file);
    return run();
  };
  await open(join(folder, "a", "b", "c"));
  expect(synced).toEqual(new Set([basename(folder), "a", "b", "c", "secret.new"]));
});

test("a secret that is made later is synced as well", async () => {
  rmSync(join(folder, "secret"));
  const synced: string[] = [];
  disk.around = (step, run) => {
    if (step.call === "sync") synced.push(step.file);
    return run();
  };
  await open(folder);
  expect(synced).toEqual(["secret.new", basename(folder)]);
});
