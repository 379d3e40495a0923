/** What waits for the disk, what does not, and what waits together. */
import { readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { disk } from "./file-disk.js";
import { newestOf, newFolder, open, post, untilWritable } from "./file-store.js";

vi.mock("node:fs/promises", async (original) =>
  (await import("./file-disk.js")).held(await original<object>()),
);

let folder = "";
beforeEach(() => {
  folder = newFolder();
});
afterEach(() => disk.reset());

/** Holds back the next call of this name; gives when it was reached, and what lets it go on. */
function holdBack(call: string): { reached: Promise<void>; goOn: () => void } {
  let goOn = () => {};
  const free = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const reached = new Promise<void>((resolve) => {
    disk.around = async (step, run) => {
      if (step.call !== call) return run();
      resolve();
      await free;
      return run();
    };
  });
  return { reached, goOn };
}

/** Lists the calls from now on, and the most that ran at once. */
function watched(): { calls: string[]; most: () => number } {
  const calls: string[] = [];
  let running = 0;
  let most = 0;
  disk.around = async (step, run) => {
    calls.push(step.call);
    most = Math.max(most, ++running);
    try {
      return await run();
    } finally {
      running--;
    }
  };
  return { calls, most: () => most };
}

test("a post is neither answered nor shown before its bytes are synced", async () => {
  const { store, shown } = await open(folder);
  const { reached, goOn } = holdBack("datasync");
  let answered = false;
  const first = post(store, ["a"]).then(() => {
    answered = true;
  });
  await reached;
  // In the file, and not shown.
  expect(readFileSync(newestOf(folder), "utf8")).toContain('"text":"a"');
  expect([shown, answered]).toEqual([[], false]);
  goOn();
  await first;
  expect([shown, answered]).toEqual([["a"], true]);
});

test("posts that arrive together share one write and one sync", async () => {
  const { store, shown } = await open(folder);
  const { calls } = watched();
  await post(store, "abcdefgh");
  expect(shown).toEqual([..."abcdefgh"]);
  expect(calls).toEqual(["appendFile", "datasync", "stat"]);
});

test("posts that arrive while the disk is busy share the next sync", async () => {
  const { store, shown } = await open(folder, 100);
  const { reached, goOn } = holdBack("datasync");
  const first = post(store, ["a"]);
  await reached;
  const others = post(store, "bcdefgh");
  const { calls } = watched();
  goOn();
  await Promise.all([first, others]);
  expect(calls.filter((call) => call === "datasync")).toHaveLength(1);
  expect(shown).toEqual([..."abcdefgh"]);
});

test("one call to the disk runs at a time, from the start to the end", async () => {
  const { most } = watched();
  const { store } = await open(folder);
  await Promise.all([..."abcdefghijklm"].map((text) => post(store, [text])));
  for (const text of "abcdefghijklm") await post(store, [text]);
  await store.close();
  expect(most()).toBe(1);
});

test("a post on a disk that hangs is refused, and what comes of it later changes nothing", async () => {
  const { store, shown, said } = await open(folder);
  await post(store, ["a"]);
  const { reached, goOn } = holdBack("datasync");
  const hung = post(store, ["b"]);
  await reached;
  expect(await hung).toEqual({ kept: [], refused: ["b"] });
  expect(await post(store, ["c"])).toEqual({ kept: [], refused: ["c"] });
  expect([store.writable, said]).toEqual([false, [expect.stringContaining("did not answer within 5000 ms")]]);
  goOn();
  disk.reset();
  await untilWritable(store);
  expect(await post(store, ["d"])).toEqual({ kept: ["d"], refused: [] });
  expect(shown).toEqual(["a", "d"]);
  await store.close();
  expect((await open(folder)).found).toEqual(["a", "d"]);
});

test("closing does not wait for a disk that hangs, but the folder stays locked until the call returns", async () => {
  const { store } = await open(folder);
  const { reached, goOn } = holdBack("datasync");
  const hung = post(store, ["a"]);
  await reached;
  await store.close();
  expect(await hung).toEqual({ kept: [], refused: ["a"] });
  disk.reset();
  await expect(open(folder)).rejects.toThrow("another process uses it");
  goOn();
  const reopened = async (): ReturnType<typeof open> => open(folder).catch(reopened);
  expect((await reopened()).found).toEqual([]);
});

test("what a killed process left in memory is synced before it is shown", async () => {
  await (await open(folder)).store.close();
  const synced: string[] = [];
  disk.around = (step, run) => {
    if (step.call.endsWith("sync")) synced.push(step.file);
    return run();
  };
  await open(folder);
  expect(synced).toEqual(["segment-1.jsonl", basename(folder), "segment-2.jsonl"]);
});

test("the names of new folders, segments and secrets are synced into the folders above them", async () => {
  const synced = new Set<string>();
  disk.around = (step, run) => {
    if (step.call === "sync") synced.add(step.file);
    return run();
  };
  await open(join(folder, "a", "b", "c"));
  expect(synced).toEqual(new Set([basename(folder), "a", "b", "c"]));
});

test("a secret that is missing is made again and synced", async () => {
  await (await open(folder)).store.close();
  rmSync(join(folder, "secret"));
  const calls: unknown[] = [];
  disk.around = (step, run) => {
    if (step.file === "secret.new" || step.call === "sync") calls.push([step.call, step.file, step.args[2]]);
    return run();
  };
  await open(folder);
  expect(calls.slice(0, 3)).toEqual([
    ["writeFile", "secret.new", { mode: 0o600, flush: true }],
    ["rename", "secret.new", undefined],
    ["sync", basename(folder), undefined],
  ]);
});
