import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Lock, lock } from "../../src/store/file/lock.js";

let folder = "";
let locks: Lock[] = [];
const said: string[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdline-lock-"));
});
afterEach(async () => {
  await Promise.all(locks.map((held) => held.release()));
  locks = [];
  rmSync(folder, { recursive: true, force: true });
  expect(said).toEqual([]);
});

async function take(at = folder): Promise<Lock> {
  const held = await lock(at, (line) => said.push(line));
  locks.push(held);
  return held;
}

test("a locked folder refuses a second lock until the first one is released", async () => {
  const first = await take();
  await expect(take()).rejects.toThrow("another process uses it");
  expect(await first.isHeld()).toBe(true);
  expect(readdirSync(folder)).toHaveLength(1);
  await first.release();
  expect(readdirSync(folder)).toEqual([]);
  await take();
});

test("of five locks that are taken at once, one succeeds", async () => {
  for (let round = 0; round < 50; round++) {
    const outcomes = await Promise.allSettled([1, 2, 3, 4, 5].map(() => take()));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(readdirSync(folder)).toHaveLength(1);
    await Promise.all(locks.splice(0).map((held) => held.release()));
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
  writeFileSync(join(folder, "lock-0123456789ab"), "");
  writeFileSync(join(folder, "lock-0123456789cd.new"), "");
  writeFileSync(join(folder, "lock-other"), "");
  await take();
  const [own, other, ...rest] = readdirSync(folder).toSorted();
  expect([other, rest]).toEqual(["lock-other", []]);
  expect(own).toMatch(/^lock-[0-9a-f]{12}$/);
  expect(own).not.toBe("lock-0123456789ab");
});

test("a lock is lost with its folder and can be taken again when the folder is back", async () => {
  const first = await take();
  rmSync(folder, { recursive: true });
  expect(await first.isHeld()).toBe(false);
  await expect(take()).rejects.toThrow("ENOENT");
  mkdirSync(folder);
  const second = await take();
  await first.release();
  expect(await second.isHeld()).toBe(true);
  await expect(take()).rejects.toThrow("another process uses it");
});

test("a folder whose path is too long for a socket is locked too", async () => {
  const deep = join(folder, "deep".repeat(20), "down".repeat(20));
  mkdirSync(deep, { recursive: true });
  await take(deep);
  await expect(take(deep)).rejects.toThrow("another process uses it");
});

test("a folder is locked under each of its paths", async () => {
  mkdirSync(join(folder, "a"));
  await take(join(folder, "a"));
  await expect(take(`${folder}/a/../a`)).rejects.toThrow("another process uses it");
});
