/**
 * The process is killed, or the power is cut, before and after every single step that the store takes on the disk,
 * from the first start on. A kill leaves the folder as it is. A power cut may leave each name as it was when the
 * folder was last synced, and each file's bytes as they were when it was last synced, or as they are.
 */
import {
  appendFileSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import { FileStore } from "../../src/index.js";
import { compare } from "../conformance/person.js";
import { disk, type Step } from "./file-disk.js";

vi.mock("node:fs/promises", async (original) =>
  (await import("./file-disk.js")).held(await original<object>()),
);

const root = mkdtempSync(join(tmpdir(), "holdline-power-"));
afterEach(() => disk.reset());
afterAll(() => rmSync(root, { recursive: true }));

const KEEP = 4;

/** What a folder may hold when the process or the machine comes back. */
interface Image {
  readonly when: string;
  readonly files: ReadonlyMap<string, Buffer>;
  /** The ids that were kept by then, and those that were shown. */
  readonly kept: readonly string[];
  readonly shown: readonly string[];
}

/** Follows what is on the disk, and what is only in memory yet. Files are known by their inodes. */
class Platter {
  readonly #folder: string;
  readonly #bytes = new Map<number, Buffer>();
  readonly #syncedBytes = new Map<number, Buffer>();
  #syncedNames = new Map<string, number>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  after(step: Step): void {
    const names = this.#look();
    if (step.call === "open") {
      // The number of a deleted file may have been given to a new one.
      const ino = names.get(step.file);
      if (ino !== undefined && this.#bytes.get(ino)?.length === 0) this.#syncedBytes.delete(ino);
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

/** Runs a store through some starts and rewrites, and takes an image before and after each step. */
async function life(): Promise<{ images: Image[]; steps: Set<string>; posted: string[] }> {
  const folder = join(root, "life");
  mkdirSync(folder);
  const platter = new Platter(folder);
  const images: Image[] = [];
  const steps = new Set<string>();
  const posted: string[] = [];
  const kept: string[] = [];
  const shown: string[] = [];
  const take = (when: string) => {
    for (const [what, files] of platter.images()) {
      images.push({ when: `${when}: ${what}`, files, kept: [...kept], shown: [...shown] });
    }
  };
  disk.around = async (step, run) => {
    const name = `${step.call} ${step.file}`;
    steps.add(name);
    take(`before ${name}`);
    const result = await run();
    platter.after(step);
    take(`after ${name}`);
    return result;
  };
  for (let start = 1; start <= 2; start++) {
    const store = new FileStore({ folder, keep: KEEP, warn: () => {} });
    const { messages } = await store.open(({ id }) => shown.push(id));
    shown.push(...messages.map(({ id }) => id));
    // Groups of posts, so that some arrive while the file is being rewritten.
    for (const group of [1, 3, 2, 1, 1, 4, 1, 2]) {
      await Promise.all(
        Array.from({ length: group }, async () => {
          const { id } = await store.append({ user: "ann", text: "hello" });
          kept.push(id);
          posted.push(id);
        }),
      );
    }
    await store.close();
    // What a process leaves that is killed between write and sync.
    const at = Date.now() + 1;
    const id = `${at}-0`;
    const line = JSON.stringify({ id, user: "ann", text: "hello", at }).slice(0, -1);
    const crc = crc32(line).toString(16).padStart(8, "0");
    appendFileSync(join(folder, "messages.jsonl"), `${line},"crc":"${crc}"}\n`);
    posted.push(id);
  }
  disk.reset();
  return { images, steps, posted };
}

test("nothing that was kept or shown is lost by a kill or a power cut before or after any step", async () => {
  const { images, steps, posted } = await life();
  expect([...steps]).toEqual(
    expect.arrayContaining([
      "appendFile messages.jsonl",
      "datasync messages.jsonl",
      "appendFile messages.jsonl.new",
      "datasync messages.jsonl.new",
      "rename messages.jsonl.new",
      "sync life",
      "rename secret.new",
    ]),
  );
  const firstFloor = posted[0] ?? "";
  const seen = new Set<string>();
  for (const [n, { when, files, kept, shown }] of images.entries()) {
    const same = JSON.stringify([
      [...files].map(([name, bytes]) => [name, bytes.toString("base64")]),
      kept,
      shown,
    ]);
    if (seen.has(same)) continue;
    seen.add(same);
    const folder = join(root, `image-${n}`);
    mkdirSync(folder);
    for (const [name, bytes] of files) writeFileSync(join(folder, name), bytes);
    const store = new FileStore({ folder, keep: KEEP, warn: () => {} });
    const { floor, messages } = await store.open(() => {});
    const ids = messages.map(({ id }) => id);
    expect(ids, when).toEqual(ids.toSorted(compare));
    expect(new Set(ids).size, when).toBe(ids.length);
    for (const id of new Set([...kept, ...shown])) {
      if (!ids.some((other) => other === id))
        expect(posted.indexOf(id), `${id} ${when}`).toBeLessThanOrEqual(posted.indexOf(floor));
    }
    if (ids.length < KEEP && kept.length > 0) expect(compare(floor, firstFloor), when).toBeLessThan(0);
    const { id } = await store.append({ user: "bob", text: "afterwards" });
    expect(compare(id, ids.at(-1) ?? floor), when).toBeGreaterThan(0);
    await store.close();
    rmSync(folder, { recursive: true });
  }
  expect(seen.size).toBeGreaterThan(50);
});
