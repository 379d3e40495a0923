/**
 * The process is killed, or the power is cut, before and after every single step that the store takes on the disk,
 * from the first start on. A kill leaves the folder as it is. A power cut may leave each name as it was when the
 * folder was last synced, and each file's bytes as they were when it was last synced, or as they are.
 */
import { appendFileSync, fstatSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { FileStore, StoreUnavailable } from "../../src/index.js";
import { compare } from "../conformance/person.js";
import { broken, disk, type Step } from "./file-disk.js";
import { KEEP, lineOf, newestOf, newFolder, open, untilWritable } from "./file-store.js";

vi.mock("node:fs/promises", async (original) =>
  (await import("./file-disk.js")).held(await original<object>()),
);

afterEach(() => disk.reset());

/** What a folder may hold when the process or the machine comes back. */
interface Image {
  readonly when: string;
  readonly files: ReadonlyMap<string, Buffer>;
  /** The ids that were kept by then, and those that were shown. */
  readonly kept: readonly string[];
  readonly shown: readonly string[];
  /** The texts that were refused before something else was kept: they must not appear any more. */
  readonly gone: readonly string[];
}

const none = Buffer.alloc(0);

/** The bytes of a file, now and on the disk. After a sync that failed, no later one writes what is in memory. */
interface Content {
  now: Buffer;
  synced: Buffer;
  hasFailed: boolean;
}

/** Follows what is on the disk, and what is only in memory yet. Files are known by their inodes. */
class Platter {
  readonly #files = new Map<number, Content>();
  #syncedNames: Map<string, number>;

  /** @param folder what is in it is on the disk */
  constructor(private readonly folder: string) {
    this.#syncedNames = this.#look();
    for (const file of this.#files.values()) file.synced = file.now;
  }

  after({ call, file: name, args, fd }: Step, hasFailed = false): void {
    const names = this.#look();
    const isSync = /sync$/.test(call);
    const file = this.#files.get((isSync ? fstatSync(fd).ino : names.get(name)) ?? 0);
    // The number of a deleted file may have been given to a new one.
    if (call === "open" && file?.now.length === 0)
      Object.assign(file, { synced: file.now, hasFailed: false });
    if (!isSync && !JSON.stringify(args).includes('"flush":true')) return;
    if (!file) this.#syncedNames = names;
    else if (hasFailed) file.hasFailed = true;
    else if (!file.hasFailed) file.synced = file.now;
  }

  /** What a kill or a power cut now may leave. */
  images(): [what: string, files: Map<string, Buffer>][] {
    const names = this.#look();
    return [
      ["kill", this.#read(names, "now")],
      ["power cut, names and bytes as synced", this.#read(this.#syncedNames, "synced")],
      ["power cut, bytes as synced", this.#read(names, "synced")],
      ["power cut, names as synced", this.#read(this.#syncedNames, "now")],
    ];
  }

  #read(names: Map<string, number>, state: "now" | "synced"): Map<string, Buffer> {
    return new Map([...names].map(([name, ino]) => [name, this.#files.get(ino)?.[state] ?? none]));
  }

  #look(): Map<string, number> {
    const names = new Map<string, number>();
    for (const entry of readdirSync(this.folder, { withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(this.folder, entry.name);
      const { ino } = statSync(path);
      names.set(entry.name, ino);
      const file = this.#files.get(ino) ?? { now: none, synced: none, hasFailed: false };
      this.#files.set(ino, Object.assign(file, { now: readFileSync(path) }));
    }
    return names;
  }
}

/** Runs a store through some starts and segments, and takes an image before and after each step. */
async function life(folder: string, old: readonly string[]) {
  const platter = new Platter(folder);
  const images: Image[] = [];
  const steps = new Set<string>();
  const posted = [...old];
  const kept = [...old];
  const shown: string[] = [];
  const gone: string[] = [];
  let failing = /^$/;
  const take = (when: string) => {
    for (const [what, files] of platter.images()) {
      images.push({ when: `${when}: ${what}`, files, kept: [...kept], shown: [...shown], gone: [...gone] });
    }
  };
  disk.around = async (step, run) => {
    const name = `${step.call} ${step.file}`;
    steps.add(name);
    take(`before ${name}`);
    // The bytes stay in the file, and nobody knows whether they are on the disk.
    if (step.file.startsWith("segment-") && failing.test(step.call)) {
      platter.after(step, true);
      return broken(step, run);
    }
    const result = await run();
    platter.after(step);
    take(`after ${name}`);
    return result;
  };
  /** Posts a group of messages, so that some segments hold more than is needed. */
  const say = async (store: FileStore, count: number) => {
    const posts = Array.from({ length: count }, () => store.append({ user: "ann", text: "hello" }));
    const ids = (await Promise.all(posts)).map(({ id }) => id);
    kept.push(...ids);
    posted.push(...ids);
  };
  for (let start = 1; start <= 2; start++) {
    const store = new FileStore({ folder, warn: () => {} });
    const { messages } = await store.open(({ id }) => shown.push(id), undefined, KEEP);
    shown.push(...messages.map(({ id }) => id));
    for (const count of [1, 3, 2, 1, 1, 4, 1, 2]) await say(store, count);
    failing = start === 1 ? /datasync|truncate/ : /datasync/;
    await expect(store.append({ user: "ann", text: `refused ${start}` })).rejects.toThrow(StoreUnavailable);
    failing = /^$/;
    await untilWritable(store);
    for (let n = 0; n < 2; n++) {
      await say(store, 1);
      gone.push(`refused ${start}`);
    }
    await store.close();
    // What a process leaves that is killed between write and sync.
    const at = Date.now() + 1;
    const id = `${at}-0`;
    appendFileSync(newestOf(folder), lineOf({ id, user: "ann", text: "hello", at }));
    posted.push(id);
  }
  disk.reset();
  return { images, steps, posted };
}

const AT = 1718000000000;
const OLD = [1, 2, 3].map((n) => `${AT + n}-0`);

test.each([
  ["of an empty folder", [], ["segment-1.jsonl", "segment-2.jsonl"]],
  ["of a folder of format version 1", OLD, ["messages.jsonl"]],
])(
  "in the life %s, nothing that was kept or shown is lost by a kill or a power cut before or after any step",
  async (_, old, expected) => {
    const folder = newFolder();
    if (old.length > 0) {
      const lines = old.map((id, n) => lineOf({ id, user: "ann", text: "old", at: AT + n }));
      const head = lineOf({ holdline: 1, floor: `${AT}-0` });
      writeFileSync(join(folder, "messages.jsonl"), head + lines.join(""));
    }
    const { images, steps, posted } = await life(folder, old);
    for (const step of ["rename secret.new", ...expected]) expect([...steps].join()).toContain(step);
    const seen = new Set<string>();
    for (const { when, files, kept, shown, gone } of images) {
      const same = JSON.stringify([[...files].map(([name, bytes]) => [name, `${bytes}`]), kept, shown]);
      if (seen.has(same)) continue;
      seen.add(same);
      const folder = newFolder();
      for (const [name, bytes] of files) writeFileSync(join(folder, name), bytes);
      const { store, lastPrunedId, messages } = await open(folder);
      for (const { text } of messages) expect(gone, when).not.toContain(text);
      const ids = messages.map(({ id }) => id);
      expect(ids, when).toEqual([...new Set(ids)].toSorted(compare));
      const lost = [...kept, ...shown].filter((id) => !ids.some((other) => other === id));
      for (const id of lost)
        expect(posted.indexOf(id), `${id} ${when}`).toBeLessThanOrEqual(posted.indexOf(lastPrunedId));
      if (ids.length < KEEP && kept.length > 0)
        expect(compare(lastPrunedId, posted[0] ?? ""), when).toBeLessThan(0);
      const { id } = await store.append({ user: "bob", text: "afterwards" });
      expect(compare(id, ids.at(-1) ?? lastPrunedId), when).toBeGreaterThan(0);
      await store.close();
    }
    expect(seen.size).toBeGreaterThan(50);
  },
);

test("the name of each folder that a store makes is on the disk before the folder is used", async () => {
  const folder = newFolder();
  const calls: string[] = [];
  disk.around = ({ call, file }, run) => {
    if (call === "mkdir" || call === "sync") calls.push(`${call} ${file}`);
    return run();
  };
  const { store } = await open(join(folder, "a", "b"));
  await store.close();
  expect(calls.slice(0, 4)).toEqual(["mkdir a", `sync ${basename(folder)}`, "mkdir b", "sync a"]);
});
