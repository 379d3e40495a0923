import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { lock } from "../../src/store/file/lock.js";
import { newFolder } from "../faults/file-store.js";

let folder = "";
const locks: Awaited<ReturnType<typeof lock>>[] = [];
beforeEach(() => {
  folder = newFolder();
});
afterEach(() => Promise.all(locks.splice(0).map((held) => held.release())));

async function take(at = folder): Promise<void> {
  locks.push(await lock(at, (line) => expect(line).toBe("no warning")));
}

test("of five locks that are taken at once, one succeeds, and its release leaves nothing", async () => {
  for (let round = 0; round < 50; round++) {
    const outcomes = await Promise.allSettled([1, 2, 3, 4, 5].map(() => take()));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(readdirSync(folder)).toHaveLength(1);
    await Promise.all(locks.splice(0).map((held) => held.release()));
    expect(readdirSync(folder)).toEqual([]);
  }
});

test("a process that listens and does not answer, because it is stopped or busy, keeps the folder", async () => {
  const silent = createServer({ pauseOnConnect: true });
  await new Promise<void>((resolve) => silent.listen(join(folder, "lock-0123456789ab"), resolve));
  await expect(take()).rejects.toThrow("another process uses it");
  expect(readdirSync(folder)).toEqual(["lock-0123456789ab"]);
  silent.close();
});

test("a lock deletes the lock files of dead processes, and nothing else", async () => {
  // Nobody listens on a plain file either.
  for (const name of ["lock-0123456789ab", "lock-0123456789cd.new", "lock-other"])
    writeFileSync(join(folder, name), "");
  await take();
  const [own, ...others] = readdirSync(folder).toSorted();
  expect(own).toMatch(/^lock-(?!0123456789ab)[0-9a-f]{12}$/);
  expect(others).toEqual(["lock-other"]);
});

test("a folder is locked under each of its paths, also if they are too long for a socket", async () => {
  const deep = join(folder, "deep".repeat(20), "down".repeat(20));
  mkdirSync(deep, { recursive: true });
  await take(deep);
  for (const path of [deep, `${deep}/../${"down".repeat(20)}`])
    await expect(take(path)).rejects.toThrow("another process uses it");
});
