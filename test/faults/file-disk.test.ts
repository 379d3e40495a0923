/**
 * A disk that fails: once, at each single step that the store takes; and for a time, in each way a disk fails. What
 * was answered as kept is there afterwards, what was refused is not, and the store works again without a restart.
 */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { broken, disk, failing, full, runOutOfRoom, systemError } from "./file-disk.js";
import { KEEP, newFolder, type Opened, open, post } from "./file-store.js";

vi.mock("node:fs/promises", async (original) =>
  (await import("./file-disk.js")).held(await original<object>()),
);

let folder = "";
beforeEach(() => {
  folder = newFolder();
});
afterEach(() => disk.reset());

const groups = [["a"], ["b", "c", "d"], ["e"], ["f", "g"], ["h"], ["i"], ["j", "k"], ["l"], ["m"]];

/** Starts, posts through two rewrites, and lets the nth step of all fail. */
async function lifeWithFault(nth: number): Promise<boolean> {
  folder = newFolder();
  let step = 0;
  let failed = "";
  disk.around = async (what, run) => {
    if (step++ !== nth) return run();
    failed = `${what.call} ${what.file}`;
    if (what.call === "appendFile" && what.fd !== undefined) {
      return runOutOfRoom(what, async (bytes) => Reflect.apply(run, undefined, [bytes]));
    }
    // Linux closes a file also when it says that it could not.
    if (what.call === "close") await run();
    throw systemError("EIO", `input/output error, ${what.call}`);
  };
  let opened: Opened;
  try {
    opened = await open(folder);
  } catch (error) {
    expect(String(error), failed).toMatch(/^Error: cannot keep messages in .*E(IO|NOSPC)/);
    opened = await open(folder);
  }
  const { store, shown } = opened;
  const kept: string[] = [];
  for (const group of groups) {
    const outcome = await post(store, group);
    expect(store.writable, failed).toBe(outcome.refused.length === 0);
    kept.push(...outcome.kept);
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
  ["that is full", ["appendFile"], full, "ENOSPC"],
  ["that cannot sync", ["datasync"], broken, "EIO"],
  [
    "that does nothing any more",
    ["appendFile", "datasync", "truncate", "rename", "open", "rm"],
    broken,
    "EIO",
  ],
])(
  "a disk %s: posts are refused, seen by nobody, and go on when it is mended",
  async (_, calls, fail, code) => {
    const { store, shown, said } = await open(folder);
    expect(store.writable).toBe(true);
    expect(await post(store, ["a"])).toEqual({ kept: ["a"], refused: [] });
    failing(calls, fail);
    expect(await post(store, ["b", "c"])).toEqual({ kept: [], refused: ["b", "c"] });
    expect(await post(store, ["d"])).toEqual({ kept: [], refused: ["d"] });
    expect(store.writable).toBe(false);
    expect(shown).toEqual(["a"]);
    expect(said).toEqual([expect.stringMatching(`messages cannot be kept, posts are refused: ${code}`)]);
    disk.reset();
    expect(await post(store, ["e"])).toEqual({ kept: ["e"], refused: [] });
    expect(store.writable).toBe(true);
    expect(shown).toEqual(["a", "e"]);
    expect(said.slice(1)).toEqual([expect.stringContaining("messages are kept again")]);
    await store.close();
    const again = await open(folder);
    expect(again.found).toEqual(["a", "e"]);
    expect(again.said).toEqual([]);
  },
);

test("what a refused post left in the file is gone before it is refused", async () => {
  const { store } = await open(folder);
  await post(store, ["a"]);
  const path = join(folder, "messages.jsonl");
  const before = readFileSync(path);
  const calls: string[] = [];
  disk.around = (step, run) => {
    calls.push(step.call);
    return step.call === "appendFile" ? full(step, run) : run();
  };
  await post(store, ["b"]);
  // Synced as well: a power cut must not bring it back.
  expect(calls).toEqual(["appendFile", "truncate", "datasync"]);
  expect(readFileSync(path)).toEqual(before);
  failing(["datasync"], broken);
  await post(store, ["c"]);
  expect(readFileSync(path)).toEqual(before);
});

test("after a failed sync the file is not believed any more: a new one takes its place", async () => {
  const { store } = await open(folder);
  await post(store, ["a"]);
  const path = join(folder, "messages.jsonl");
  const before = statSync(path).ino;
  failing(["datasync"], broken);
  await post(store, ["b"]);
  disk.reset();
  await post(store, ["c"]);
  expect(statSync(path).ino).not.toBe(before);
});

test("a full disk that has a little room again takes a post, with no room for a second file", async () => {
  const { store } = await open(folder);
  await post(store, ["a"]);
  failing(["appendFile"], full);
  await post(store, ["b"]);
  failing(["open"], broken);
  expect(await post(store, ["c"])).toEqual({ kept: ["c"], refused: [] });
});

test.each([
  ["that was full", ["appendFile"], full],
  ["that could not sync", ["datasync"], broken],
])("a disk %s is seen to be mended when nobody posts", async (_, calls, fail) => {
  const { store, nextSaid } = await open(folder);
  failing(calls, fail);
  await post(store, ["a"]);
  const said = nextSaid();
  disk.reset();
  expect(await said).toMatch("messages are kept again");
  expect(store.writable).toBe(true);
  expect(await post(store, ["b"])).toEqual({ kept: ["b"], refused: [] });
  await store.close();
  const again = await open(folder);
  expect([again.found, again.said]).toEqual([["b"], []]);
});

test("as long as the disk is full, trying in vain changes nothing and says nothing", async () => {
  const { store, said } = await open(folder);
  await post(store, ["a"]);
  const path = join(folder, "messages.jsonl");
  const before = readFileSync(path);
  let tries = 0;
  const triedTwice = new Promise<void>((resolve) =>
    failing(["appendFile"], async (step, run) => {
      if (++tries === 3) resolve();
      return full(step, run);
    }),
  );
  await post(store, ["b"]);
  await triedTwice;
  await store.close();
  expect(store.writable).toBe(false);
  expect(said).toHaveLength(1);
  expect(readFileSync(path)).toEqual(before);
});
