/**
 * An append-only log in segments, `segment-<number>.jsonl`. Nothing is rewritten: after a failure a new segment begins,
 * whose header says what was acknowledged; what older segments hold beyond that is ignored when they are read.
 */
import { copyFile, type FileHandle, open, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { compareIds, type Id } from "../../feed/id.js";
import type { Found, Stored } from "../memory.js";
import { keepSecrets, makeFolder, type Secrets, sync } from "./folder.js";
import { lock } from "./lock.js";
import { decodeSegment, encode } from "./record.js";

/** The name of a segment, with its number. The one file of format version 1 is number 0. */
const SEGMENT = /^(?:segment-([1-9]\d{0,14})|messages)\.jsonl$/;

export class SegmentLog {
  /** The secrets of session cookies. Undefined before `open`. */
  secrets: Secrets | undefined;
  #keep = 0;
  #lock: Awaited<ReturnType<typeof lock>> | undefined;
  /** Oldest first, each with the number of acknowledged messages in those before it. */
  readonly #segments: { readonly number: number; readonly path: string; readonly start: number }[] = [];
  /** The number of acknowledged messages in all segments. */
  #count = 0;
  /** The id that was acknowledged last. */
  #lastId: Id = "0-0";
  /** The file of the last segment. Undefined after a failure: then the next segment is begun. */
  #file: FileHandle | undefined;
  #inode = 0;
  /** The acknowledged bytes in the file. */
  #size = 0;

  constructor(
    private readonly folder: string,
    private readonly warn: (line: string) => void,
  ) {}

  /**
   * Opens the folder, once. Returns the newest messages, which are on the disk, and the id before them.
   * @param keep the number of newest messages to keep
   */
  async open(keep: number): Promise<Found> {
    this.#keep = keep;
    await makeFolder(this.folder);
    await this.#claim();
    const stored: Stored[] = [];
    let lastPrunedId: Id = "0-0";
    const lastId = () => stored.at(-1)?.message.id ?? lastPrunedId;
    for (const { number, path } of await findSegments(this.folder)) {
      // What a killed process wrote may be in memory only.
      await sync(path);
      const { after = lastId(), records, damaged } = decodeSegment(await readFile(path));
      while (stored.length > 0 && compareIds(lastId(), after) > 0) stored.pop();
      if (stored.length === 0) lastPrunedId = after;
      else if (lastId() !== after) this.warn(`messages before ${path} are missing`);
      const start = stored.length;
      this.#segments.push({ number, path, start });
      for (const record of records) if (compareIds(record.message.id, lastId()) > 0) stored.push(record);
      const skipped = damaged + records.length - (stored.length - start);
      if (skipped > 0) {
        this.warn(`damaged lines in ${path} are skipped: ${skipped}`);
        await copyFile(path, `${path}.damaged`);
      }
    }
    if (lastId() === "0-0") lastPrunedId = `${Date.now()}-0`;
    this.#lastId = lastId();
    this.#count = stored.length;
    await this.#beginSegment();
    const pruned = stored.splice(0, Math.max(0, stored.length - keep)).at(-1);
    return { lastPrunedId: pruned?.message.id ?? lastPrunedId, stored };
  }

  /**
   * Appends messages. Resolves when they are on the disk, which acknowledges them. When it rejects, none of them is
   * read again once the next segment is begun. Without messages it only makes sure that the disk works.
   * @param isWanted says, when they are on the disk, whether to acknowledge them
   */
  async append(messages: readonly Stored[], isWanted = () => true): Promise<void> {
    try {
      const isFull = this.#count - (this.#segments.at(-1)?.start ?? 0) >= this.#keep;
      if (!this.#file || isFull) await this.#beginSegment();
      const lines = messages.map(({ message, key }) => encode({ ...message, key }));
      const size = await this.#write(lines.join(""));
      if (!isWanted()) throw new Error("the messages were refused meanwhile");
      this.#size = size;
    } catch (error) {
      // If this fails too, the header of the next segment is enough.
      await this.#file?.truncate(this.#size).catch(() => undefined);
      await this.#closeFile();
      throw error;
    }
    this.#count += messages.length;
    this.#lastId = messages.at(-1)?.message.id ?? this.#lastId;
  }

  /** Frees the folder. */
  async close(): Promise<void> {
    await this.#closeFile();
    await this.#lock?.release();
  }

  async #closeFile(): Promise<void> {
    // What was acknowledged is synced, so a failure changes nothing.
    await this.#file?.close().catch(() => undefined);
    this.#file = undefined;
  }

  /** Begins a new segment. After an attempt that failed, its number and file are used again. */
  async #beginSegment(): Promise<void> {
    await this.#closeFile();
    await this.#claim();
    const number = 1 + (this.#segments.at(-1)?.number ?? 0);
    const path = join(this.folder, `segment-${number}.jsonl`);
    this.#file = await open(path, "w", 0o600);
    this.#inode = (await this.#file.stat()).ino;
    this.#size = 0;
    await sync(this.folder);
    this.#size = await this.#write(encode({ holdline: 2, after: this.#lastId }), path);
    this.#segments.push({ number, path, start: this.#count });
    await this.#prune().catch(({ message }) => this.warn(`old segments stay for now: ${message}`));
  }

  /** Appends text to the file. Resolves with the new size of the file when it is on the disk. */
  async #write(text: string, path = this.#segments.at(-1)?.path ?? ""): Promise<number> {
    const bytes = Buffer.from(text);
    await this.#file?.appendFile(bytes);
    await this.#file?.datasync();
    const { ino, size } = await stat(path);
    if (ino === this.#inode && size === this.#size + bytes.length) return size;
    throw new Error(`${path} was replaced, or written to by another program`);
  }

  /** Deletes the segments that are empty or not needed any more. */
  async #prune(): Promise<void> {
    const old = this.#segments.filter(({ start }, n) => {
      const end = this.#segments[n + 1]?.start ?? Infinity;
      return end === start || end <= this.#count - this.#keep;
    });
    for (const segment of old) {
      await rm(segment.path, { force: true });
      this.#segments.splice(this.#segments.indexOf(segment), 1);
    }
  }

  /** Locks the folder, again if it was deleted and made again. Rejects if another process may have used it meanwhile. */
  async #claim(): Promise<void> {
    if (await this.#lock?.isHeld()) return;
    const taken = await lock(this.folder, this.warn);
    // Not before: the lost lock is needed if the folder was only moved away.
    await this.#lock?.release();
    this.#lock = taken;
    if (this.secrets && (await findSegments(this.folder)).length > 0) {
      await taken.release();
      throw new Error("its lock was deleted, and another process may have used it; restart this one");
    }
    this.secrets = await keepSecrets(join(this.folder, "secret"), this.secrets);
  }
}

/** Returns the segments in a folder, in order. */
async function findSegments(folder: string) {
  const matches = (await readdir(folder)).map((name) => SEGMENT.exec(name)).filter((match) => match !== null);
  const found = matches.map(([name, number = 0]) => ({ number: Number(number), path: join(folder, name) }));
  return found.sort((a, b) => a.number - b.number);
}
