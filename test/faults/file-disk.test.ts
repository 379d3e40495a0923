/**
 * A disk that fails: once, at each single step that the store takes; and for a time, in each way a disk fails. What
 * was answered as kept is there afterwards, what was refused is not, and the store works again without a restart. And a
 * disk that is slow or hangs: what waits for it, what does not, and what waits together.
 */
import { appendFileSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { broken, disk, failing, full, runOutOfRoom, systemError } from "./file-disk.js";
import {
  KEEP,
  linesOf,
  newestOf,
  newFolder,
  type Opened,
  open,
  post,
  reopen,
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
  ["that is full", ["appendFile"], full, "ENOSPC"],
  ["that cannot sync", ["datasync"], broken, "EIO"],
  [
    "that does nothing any more",
    ["appendFile", "datasync", "truncate", "rename", "open", "rm"],
    broken,
    "EIO",
  ],
])("a disk %s refuses posts until it is mended, also when nobody posts", async (_, calls, fail, code) => {
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
  await untilWritable(store);
  expect(await post(store, ["e"])).toEqual({ kept: ["e"], refused: [] });
  expect(shown).toEqual(["a", "e"]);
  expect(said.slice(1)).toEqual([expect.stringContaining("messages are kept again")]);
  await store.close();
  const again = await open(folder);
  expect(again.found).toEqual(["a", "e"]);
  expect(again.said).toEqual([]);
});

test("a failed write is truncated, and after a failed sync the segment is not written to again", async () => {
  const { store } = await open(folder);
  for (const [calls, fail] of [
    [["appendFile"], full] as const,
    [["datasync", "truncate"], broken] as const,
  ]) {
    await post(store, ["a"]);
    const path = newestOf(folder);
    const before = readFileSync(path);
    failing(calls, fail);
    await post(store, ["b"]);
    const after = readFileSync(path);
    if (fail === full) expect(after).toEqual(before);
    disk.reset();
    await untilWritable(store);
    await post(store, ["c"]);
    expect(readFileSync(path)).toEqual(after);
    expect(newestOf(folder)).not.toBe(path);
  }
  expect((await reopen(store, folder)).found).toEqual(["a", "c", "a", "c"]);
});

test("an outage leaves one segment, however long it lasts and however many posts are refused", async () => {
  const { store, said } = await open(folder);
  await post(store, ["a"]);
  let attempts = 0;
  const thrice = new Promise<void>((resolve) =>
    failing(["appendFile"], async (step, run) => {
      if (++attempts === 4) resolve();
      return full(step, run);
    }),
  );
  for (let n = 0; n < 50; n++) await post(store, [`${n}`]);
  await thrice;
  expect(said).toHaveLength(1);
  expect(linesOf(folder)).toHaveLength(1);
  disk.reset();
  await untilWritable(store);
  expect(newestOf(folder)).toMatch(/segment-2\.jsonl$/);
});

test("segments that cannot be deleted cost no post, and are deleted when the disk works again", async () => {
  const { store, said } = await open(folder);
  failing(["rm"], broken);
  for (const text of "abcdefghijkl") expect((await post(store, [text])).kept).toEqual([text]);
  expect(said[0]).toContain("old segments stay for now: EIO");
  expect(linesOf(folder)).toHaveLength(12);
  disk.reset();
  for (const text of "mnopq") await post(store, [text]);
  expect(linesOf(folder)).toHaveLength(KEEP + 1);
  await store.close();
  expect((await open(folder)).found).toEqual([..."nopq"]);
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
  await store.close();
  expect((await open(folder)).found).toEqual(["a", "d"]);
});

test("of two posts with one key that arrive together, neither is kept when the first one fails", async () => {
  const { store, shown } = await open(folder);
  const twice = () => [1, 2].map(() => store.append({ user: "ann", text: "once", key: "k" }));
  failing(["datasync"], broken);
  const outcomes = await Promise.allSettled(twice());
  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  disk.reset();
  await untilWritable(store);
  const [first, second] = await Promise.all(twice());
  expect(second).toBe(first);
  expect(shown).toEqual(["once"]);
});

test("refused posts push no idempotency key out of memory", async () => {
  const { store } = await open(folder);
  const first = await store.append({ user: "ann", text: "a", key: "k" });
  failing(["appendFile"], full);
  for (let n = 0; n < 2 * KEEP; n++) await post(store, ["b"]);
  disk.reset();
  await untilWritable(store);
  expect(await store.append({ user: "ann", text: "a", key: "k" })).toBe(first);
});

test("no id is given twice, not even that of a refused post", async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: 2_000_000_000_000 });
  const { store } = await open(folder);
  await post(store, ["a"]);
  failing(["datasync", "truncate"], broken);
  await post(store, ["b"]);
  const refused = JSON.parse(linesOf(folder).at(-1) ?? "").id;
  disk.reset();
  await untilWritable(store);
  const { id } = await store.append({ user: "ann", text: "c" });
  expect([refused, id]).toEqual(["2000000000000-2", "2000000000000-3"]);
  vi.useRealTimers();
});

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

test("posts that arrive together, or while the disk is busy, share one write and one sync", async () => {
  const { store, shown } = await open(folder, 100);
  const { reached, goOn } = holdBack("datasync");
  const first = post(store, "abc");
  await reached;
  const others = post(store, "defgh");
  const { calls } = watched();
  goOn();
  await Promise.all([first, others]);
  expect(calls).toEqual(["stat", "appendFile", "datasync", "stat"]);
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

test("a start syncs all names and what a killed process left in memory, before a message is shown", async () => {
  const deep = join(folder, "a", "b");
  const calls: string[] = [];
  disk.around = (step, run) => {
    const flush = JSON.stringify(step.args[2])?.includes('"flush":true') ? " with flush" : "";
    if (/sync|rename|writeFile/.test(step.call) && !step.file.startsWith("lock-"))
      calls.push(`${step.call} ${step.file}${flush}`);
    return run();
  };
  await (await open(deep)).store.close();
  const secret = ["writeFile secret.new with flush", "rename secret.new", "sync b"];
  const segment = (n: number) => ["sync b", `datasync segment-${n}.jsonl`];
  expect(calls.splice(0)).toEqual([`sync ${basename(folder)}`, "sync a", ...secret, ...segment(1)]);
  rmSync(join(deep, "secret"));
  await open(deep);
  expect(calls).toEqual([...secret, "sync segment-1.jsonl", ...segment(2)]);
});
