/**
 * A file that only grows, and what keeps it sound when the disk does not do what it is told.
 *
 * An append either is on the disk, or leaves nothing behind: what a failed write left is cut off. After a failed
 * sync nobody knows what the disk holds, not even after a later sync that succeeds, since the system may have
 * dropped the pages it could not write; and a file may be moved or deleted while it is open. Then the log is no
 * longer `sound`, and has to be written anew from what its owner remembers.
 *
 * It is written anew beside the old file, and then takes its name. Before that the old one has everything, after
 * that the new one; nothing is appended before the folder is synced, so a power cut brings back a good one.
 */
import { constants, type Stats } from "node:fs";
import { type FileHandle, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";

// As much as a post may need: when this can be written, posts can.
const PROBE = Buffer.alloc(16 * 1024, " ");

export class Log {
  readonly #path: string;
  #file: FileHandle;
  // What the file must be, seen by its name, before anything is called kept.
  #identity: Stats;
  #size: number;
  #sound = true;

  private constructor(path: string, file: FileHandle, identity: Stats, size: number) {
    this.#path = path;
    this.#file = file;
    this.#identity = identity;
    this.#size = size;
  }

  /** Opens the file; an empty one is made when there is none. What is in it is on the disk when this resolves. */
  static async open(path: string): Promise<{ log: Log; bytes: Buffer; isNew: boolean }> {
    const flags = constants.O_RDWR | constants.O_APPEND;
    let isNew = false;
    const file = await open(path, flags).catch((error) => {
      if (error.code !== "ENOENT") throw error;
      isNew = true;
      return open(path, flags | constants.O_CREAT, 0o600);
    });
    try {
      // What a killed process left in the page cache must not be shown before it is on the disk.
      await file.datasync();
      // Read whole: a file over 2 GiB is refused here, but its messages would not fit into memory either.
      const bytes = await file.readFile();
      await rm(draftOf(path), { force: true });
      return { log: new Log(path, file, await file.stat(), bytes.length), bytes, isNew };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Whether the file can be appended to. If not, it takes `draft` and `adopt` to make it so. */
  get sound(): boolean {
    return this.#sound;
  }

  /** Writes and syncs. When it rejects, the bytes are not in the file, as far as the disk still does anything. */
  async append(bytes: Buffer): Promise<void> {
    let written = false;
    try {
      await this.#file.appendFile(bytes);
      written = true;
      await Promise.all([this.#file.datasync(), this.#isInPlace(this.#size + bytes.length)]);
      this.#size += bytes.length;
    } catch (error) {
      this.#sound = (await this.#cut()) && !written;
      throw error;
    }
  }

  /** Rejects when an append would. A crash meanwhile leaves blanks, which the next opening takes for a torn line. */
  async probe(): Promise<void> {
    const size = this.#size;
    await this.append(PROBE);
    this.#size = size;
    this.#sound = await this.#cut();
  }

  /** Writes and syncs a new file beside this one, which can be appended to meanwhile. One at a time. */
  async draft(chunks: Iterable<Buffer>): Promise<FileHandle> {
    await rm(draftOf(this.#path), { force: true });
    const draft = await open(draftOf(this.#path), "ax", 0o600);
    try {
      for (const chunk of chunks) await draft.appendFile(chunk);
      await draft.datasync();
      return draft;
    } catch (error) {
      await this.discard(draft);
      throw error;
    }
  }

  /** Appends the rest to a draft, which then takes the place of the file. When it rejects, the draft is gone. */
  async adopt(draft: FileHandle, rest: Buffer): Promise<void> {
    let identity: Stats;
    try {
      await draft.appendFile(rest);
      await draft.datasync();
      identity = await draft.stat();
      await rename(draftOf(this.#path), this.#path);
    } catch (error) {
      await this.discard(draft);
      throw error;
    }
    const old = this.#file;
    this.#file = draft;
    this.#identity = identity;
    this.#size = identity.size;
    this.#sound = false;
    await old.close().catch(() => undefined);
    await syncFolder(dirname(this.#path));
    this.#sound = true;
  }

  /** Lets go of a draft that will not be adopted. */
  async discard(draft: FileHandle): Promise<void> {
    await draft.close().catch(() => undefined);
    // On a full disk it is in the way of what it was to replace.
    await rm(draftOf(this.#path), { force: true }).catch(() => undefined);
  }

  async close(): Promise<void> {
    // What was kept is synced; an error now says nothing about it.
    await this.#file.close().catch(() => undefined);
  }

  async #cut(): Promise<boolean> {
    try {
      await this.#file.truncate(this.#size);
      await this.#file.datasync();
      return true;
    } catch {
      return false;
    }
  }

  async #isInPlace(size: number): Promise<void> {
    const there = await stat(this.#path);
    const { dev, ino } = this.#identity;
    if (there.dev !== dev || there.ino !== ino) throw new Error(`${this.#path} is another file now`);
    if (there.size !== size) throw new Error(`${this.#path} was written to by somebody else`);
  }
}

/** Makes what was created or renamed in a folder outlast a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function draftOf(path: string): string {
  return `${path}.new`;
}
