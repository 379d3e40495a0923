/**
 * A disk that fails: once, at each single step that the store takes; and for a time, in each way a disk fails. What
 * was answered as kept is there afterwards, what was refused is not, and the store works again without a restart. And a
 * disk that is slow or hangs: what waits for it, what does not, and what waits together.
 */
import { appendFileSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { awaited } from "../feed/http.js";
import { broken, disk, failing } from "./file-disk.js";
import {
  KEEP,
  linesOf,
  newestOf,
  newFolder,
  open,
  post,
  reopen,
  segmentsOf,
  untilWritable,
} from "./file-store.js";

vi.mock("node:fs/promises", async (original) =>
  (await import("./file-disk.js")).held(await original<object>()),
);

let folder = "";
beforeEach(() => {
  folder = newFolder();
});
afterEach(() => disk.reset());

const groups = [["a"], ["b", "c", "d"], ["e"], ["f", "g"], ["h"], ["i"], ["j", "k"], ["l"], ["m"]];

/** Starts, posts through some segments, and lets the nth step of all fail. */
async function lifeWithFault(nth: number): Promise<boolean> {
  folder = newFolder();
  let step = 0;
  let failed = "";
  disk.around = async (what, run) => {
    if (step++ !== nth) return run();
    failed = `${what.call} ${what.file}`;
    return broken(what, run);
  };
  const { store, shown } = await open(folder).catch((error) => {
    expect(String(error), failed).toMatch(/^Error: cannot keep messages in .*EIO/);
    return open(folder);
  });
  const kept: string[] = [];
  for (const group of groups) {
    const outcome = await post(store, group);
    kept.push(...outcome.kept);
    await untilWritable(store);
  }
  expect(shown, failed).toEqual(kept);
  // One fault costs one group of posts at most.
  expect(groups.flat().length - kept.length, failed).toBeLessThanOrEqual(3);
  await store.close();
  disk.reset();
  const again = await open(folder);
  expect(again.found, failed).toEqual(kept.slice(-KEEP));
  await again.store.close();
  return failed !== "";
}

test("an error at any one step loses nothing that was kept, and keeps nothing that was refused", async () => {
  let steps = 0;
  while (await lifeWithFault(steps)) steps++;
  expect(steps).toBeGreaterThan(60);
});

test.each([
  ["takes no bytes", "appendFile"],
  ["cannot sync", "datasync"],
  ["does nothing any more", "appendFile", "datasync", "truncate", "rename", "open", "rm"],
])("a disk that %s refuses posts until it is mended, also when nobody posts", async (_, ...calls) => {
  const { store, shown, said } = await open(folder);
  expect(store.writable).toBe(true);
  expect(await post(store, ["a"])).toEqual({ kept: ["a"], refused: [] });
  const path = newestOf(folder);
  const before = readFileSync(path);
  const attempts = failing(...calls);
  for (const texts of ["bc", "d"])
    expect(await post(store, texts)).toEqual({ kept: [], refused: [...texts] });
  // A failed write is truncated.
  if (!calls.includes("truncate")) expect(readFileSync(path)).toEqual(before);
  while (attempts() < 3) await setImmediate();
  expect(store.writable).toBe(false);
  expect(shown).toEqual(["a"]);
  expect(said).toEqual([expect.stringMatching(`messages cannot be kept, posts are refused: EIO`)]);
  disk.reset();
  await untilWritable(store);
  expect(await post(store, ["e"])).toEqual({ kept: ["e"], refused: [] });
  expect(shown).toEqual(["a", "e"]);
  expect(said.slice(1)).toEqual([expect.stringContaining("messages are kept again")]);
  // However long it lasts, an outage leaves one segment.
  expect(newestOf(folder)).toMatch(/segment-2\.jsonl$/);
  const again = await reopen(store, folder);
  expect([again.found, again.said]).toEqual([["a", "e"], []]);
});

test("starts on a disk that takes no bytes leave no more than one file", async () => {
  await (await open(folder)).store.close();
  failing("appendFile");
  for (let n = 0; n < 3; n++) await expect(open(folder)).rejects.toThrow("EIO");
  expect(segmentsOf(folder)).toHaveLength(2);
  disk.reset();
  const { store, said } = await open(folder);
  await post(store, "a");
  expect([(await reopen(store, folder)).found, said]).toEqual([["a"], []]);
});

test("segments that cannot be deleted cost no post, and are deleted when the disk works again", async () => {
  const { store, said } = await open(folder);
  failing("rm");
  for (const text of "abcdefghijkl") expect((await post(store, [text])).kept).toEqual([text]);
  expect(said[0]).toContain("old segments stay for now: EIO");
  expect(linesOf(folder)).toHaveLength(12);
  disk.reset();
  for (const text of "mnopq") await post(store, [text]);
  expect(linesOf(folder)).toHaveLength(KEEP + 1);
  expect((await reopen(store, folder)).found).toEqual([..."nopq"]);
});

test("a segment that is replaced, written to or deleted by others is noticed, and no later post is lost", async () => {
  const { store, said } = await open(folder, 100);
  const harms = [
    (path: string) => {
      writeFileSync(`${path}.edited`, readFileSync(path));
      renameSync(`${path}.edited`, path);
    },
    (path: string) => appendFileSync(path, "a long note\n".repeat(100)),
    (path: string) => rmSync(path),
  ];
  for (const harm of harms) {
    expect((await post(store, ["a"])).kept).toEqual(["a"]);
    harm(newestOf(folder));
    expect(await post(store, ["b"])).toEqual({ kept: [], refused: ["b"] });
    await untilWritable(store);
  }
  await post(store, ["c"]);
  expect(said).toHaveLength(6);
  await store.close();
  expect((await open(folder, 100)).found).toEqual(["a", "a", "c"]);
});

test("a folder that is moved away refuses posts until it is back, and nothing is lost", async () => {
  const { store, said } = await open(folder);
  await post(store, ["a"]);
  let attempts = 0;
  disk.around = (step, run) => {
    if (step.call === "access") attempts++;
    return run();
  };
  renameSync(folder, `${folder}-elsewhere`);
  expect(await post(store, ["b"])).toEqual({ kept: [], refused: ["b"] });
  while (attempts < 2) await setImmediate();
  expect(await post(store, ["c"])).toEqual({ kept: [], refused: ["c"] });
  renameSync(`${folder}-elsewhere`, folder);
  await untilWritable(store);
  await post(store, ["d"]);
  await expect(open(folder)).rejects.toThrow("another process uses it");
  expect(said).toHaveLength(2);
  expect((await reopen(store, folder)).found).toEqual(["a", "d"]);
});

test("a refused post keeps neither its key nor its id, and other keys stay", async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: 2_000_000_000_000 });
  const { store, shown } = await open(folder);
  const say = (text: string) => store.append({ user: "ann", text, key: text });
  const first = await say("first");
  failing("datasync", "truncate");
  const outcomes = await Promise.allSettled([say("twice"), say("twice")]);
  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  const refused = JSON.parse(linesOf(folder).at(-1) ?? "").id;
  for (let n = 0; n < 2 * KEEP; n++) await post(store, ["refused"]);
  disk.reset();
  await untilWritable(store);
  const [one, two] = await Promise.all([say("twice"), say("twice")]);
  expect(two).toBe(one);
  expect([first.id, refused, one.id]).toEqual([1, 2, 11].map((n) => `2000000000000-${n}`));
  expect(await say("first")).toBe(first);
  expect(shown).toEqual(["first", "twice"]);
  vi.useRealTimers();
});

/** Holds back the next sync; gives when it was reached, and what lets it go on. */
function holdSync() {
  const [reached, free] = [awaited(), awaited()];
  disk.around = async (step, run) => {
    if (step.call !== "datasync") return run();
    reached.resolve();
    await free.promise;
    return run();
  };
  return { reached: reached.promise, goOn: free.resolve };
}

test("posts that arrive together, or while the disk is busy, share one write and one sync", async () => {
  const { store, shown } = await open(folder, 100);
  const { reached, goOn } = holdSync();
  const first = post(store, "abc");
  await reached;
  const others = post(store, "defgh");
  const calls: string[] = [];
  disk.around = (step, run) => {
    calls.push(step.call);
    return run();
  };
  goOn();
  await Promise.all([first, others]);
  expect(calls).toEqual(["stat", "stat", "appendFile", "datasync", "stat", "stat"]);
  expect(shown).toEqual([..."abcdefgh"]);
});

test("closing does not wait for a disk that hangs, but the folder stays locked until the call returns", async () => {
  const { store } = await open(folder);
  const { reached, goOn } = holdSync();
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

test("a start syncs the names of the folders that it makes", async () => {
  const synced: string[] = [];
  disk.around = (step, run) => {
    if (step.call === "sync") synced.push(step.file);
    return run();
  };
  await open(join(folder, "a", "b"));
  expect(synced.slice(0, 2)).toEqual([basename(folder), "a"]);
});
