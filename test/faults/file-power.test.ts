/**
 * The process is killed, or the power is cut, before and after every single step that the store takes on the disk,
 * from the first start on. A kill leaves the folder as it is. A power cut may leave each name as it was when the
 * folder was last synced, and each file's bytes as they were when it was last synced, or as they are.
 */
import { appendFileSync, fstatSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { FileStore, StoreUnavailable } from "../../src/index.js";
import { disk, type Step, systemError } from "./file-disk.js";
import { compareIds, lineOf, newestOf, newFolder, untilWritable } from "./file-store.js";

vi.mock("node:fs/promises", async (original) =>
  (await import("./file-disk.js")).held(await original<object>()),
);

afterEach(() => disk.reset());

const KEEP = 4;
const broken = systemError("EIO", "input/output error");

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

/** Follows what is on the disk, and what is only in memory yet. Files are known by their inodes. */
class Platter {
  readonly #folder: string;
  readonly #bytes = new Map<number, Buffer>();
  readonly #syncedBytes = new Map<number, Buffer>();
  #syncedNames = new Map<string, number>();

  /** @param folder what is in it is on the disk */
  constructor(folder: string) {
    this.#folder = folder;
    this.#syncedNames = this.#look();
    for (const [ino, bytes] of this.#bytes) this.#syncedBytes.set(ino, bytes);
  }

  after(step: Step): void {
    const names = this.#look();
    if (step.call === "open") {
      // The number of a deleted file may have been given to a new one.
      const ino = names.get(step.file);
      if (ino !== undefined && this.#bytes.get(ino)?.length === 0) this.#syncedBytes.delete(ino);
    }
    if (step.call === "writeFile" && JSON.stringify(step.args).includes('"flush":true')) {
      const ino = names.get(step.file) ?? 0;
      this.#syncedBytes.set(ino, this.#bytes.get(ino) ?? Buffer.alloc(0));
    }
    if ((step.call !== "datasync" && step.call !== "sync") || step.fd === undefined) return;
    const { ino } = fstatSync(step.fd);
    const bytes = this.#bytes.get(ino);
    if (bytes) this.#syncedBytes.set(ino, bytes);
    else this.#syncedNames = names;
  }

  /** What a kill or a power cut now may leave. */
  images(): [what: string, files: Map<string, Buffer>][] {
    const names = this.#look();
    return [
      ["kill", this.#files(names, this.#bytes)],
      ["power cut, names and bytes as synced", this.#files(this.#syncedNames, this.#syncedBytes)],
      ["power cut, bytes as synced", this.#files(names, this.#syncedBytes)],
      ["power cut, names as synced", this.#files(this.#syncedNames, this.#bytes)],
    ];
  }

  #files(names: Map<string, number>, bytes: Map<number, Buffer>): Map<string, Buffer> {
    return new Map([...names].map(([name, ino]) => [name, bytes.get(ino) ?? Buffer.alloc(0)]));
  }

  #look(): Map<string, number> {
    const names = new Map<string, number>();
    for (const name of readdirSync(this.#folder)) {
      const path = join(this.#folder, name);
      const stat = statSync(path, { throwIfNoEntry: false });
      if (!stat?.isFile()) continue;
      names.set(name, stat.ino);
      this.#bytes.set(stat.ino, readFileSync(path));
    }
    return names;
  }
}

/** Runs a store through some starts and segments, and takes an image before and after each step. */
async function life(
  folder: string,
  old: readonly string[],
): Promise<{ images: Image[]; steps: Set<string>; posted: string[] }> {
  const platter = new Platter(folder);
  const images: Image[] = [];
  const steps = new Set<string>();
  const posted = [...old];
  const kept = [...old];
  const shown: string[] = [];
  const gone: string[] = [];
  let fails = false;
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
    if (fails && step.file.startsWith("segment-") && /datasync|truncate/.test(step.call)) throw broken;
    const result = await run();
    platter.after(step);
    take(`after ${name}`);
    return result;
  };
  /** Posts a group of messages, so that some segments hold more than is needed. */
  const say = async (store: FileStore, count: number) => {
    for (const { id } of await Promise.all(
      Array.from({ length: count }, () => store.append({ user: "ann", text: "hello" })),
    )) {
      kept.push(id);
      posted.push(id);
    }
  };
  for (let start = 1; start <= 2; start++) {
    const store = new FileStore({ folder, warn: () => {} });
    const { messages } = await store.open(({ id }) => shown.push(id), undefined, KEEP);
    shown.push(...messages.map(({ id }) => id));
    for (const count of [1, 3, 2, 1, 1, 4, 1, 2]) await say(store, count);
    fails = true;
    await expect(store.append({ user: "ann", text: `refused ${start}` })).rejects.toThrow(StoreUnavailable);
    fails = false;
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
  ["of an empty folder", [], { "segment-1.jsonl": 1, "segment-2.jsonl": 1 }],
  ["of a folder of format version 1", OLD, { "messages.jsonl": 1 }],
])(
  "in the life %s, nothing that was kept or shown is lost by a kill or a power cut before or after any step",
  async (_, old, files) => {
    const folder = newFolder();
    if (old.length > 0) {
      const lines = old.map((id, n) => lineOf({ id, user: "ann", text: "old", at: AT + n }));
      writeFileSync(
        join(folder, "messages.jsonl"),
        lineOf({ holdline: 1, floor: `${AT}-0` }) + lines.join(""),
      );
    }
    const { images, steps, posted } = await life(folder, old);
    expect([...steps].join()).toMatch(/rename secret.new/);
    for (const file of Object.keys(files)) expect([...steps].join()).toContain(file);
    const firstId = posted[0] ?? "";
    const seen = new Set<string>();
    for (const { when, files, kept, shown, gone } of images) {
      const same = JSON.stringify([
        [...files].map(([name, bytes]) => [name, bytes.toString("base64")]),
        kept,
        shown,
      ]);
      if (seen.has(same)) continue;
      seen.add(same);
      const folder = newFolder();
      for (const [name, bytes] of files) writeFileSync(join(folder, name), bytes);
      const store = new FileStore({ folder, warn: () => {} });
      const { lastPrunedId, messages } = await store.open(() => {}, undefined, KEEP);
      for (const { text } of messages) expect(gone, when).not.toContain(text);
      const ids = messages.map(({ id }) => id);
      expect(ids, when).toEqual(ids.toSorted(compareIds));
      expect(new Set(ids).size, when).toBe(ids.length);
      for (const id of new Set([...kept, ...shown])) {
        if (!ids.some((other) => other === id))
          expect(posted.indexOf(id), `${id} ${when}`).toBeLessThanOrEqual(posted.indexOf(lastPrunedId));
      }
      if (ids.length < KEEP && kept.length > 0)
        expect(compareIds(lastPrunedId, firstId), when).toBeLessThan(0);
      const { id } = await store.append({ user: "bob", text: "afterwards" });
      expect(compareIds(id, ids.at(-1) ?? lastPrunedId), when).toBeGreaterThan(0);
      await store.close();
    }
    expect(seen.size).toBeGreaterThan(50);
  },
);
