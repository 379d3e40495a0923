/**
 * An append-only log in segments, `segment-<number>.jsonl`. Nothing is rewritten: after a failure a new segment begins,
 * whose header says what was acknowledged; what older segments hold beyond that is ignored when they are read.
 */
import { copyFile, type FileHandle, open, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { compareIds, type Id, parseId } from "../../feed/id.js";
import type { Stored } from "../appender.js";
import { messageOf } from "../options.js";
import { keepSecrets, makeFolder, type Secrets, sync } from "./folder.js";
import { type Lock, lock } from "./lock.js";
import { decodeSegment, encode } from "./record.js";

/** A longer segment is not appended to, so that each fits into one string when it is read. */
const MAX_SEGMENT_BYTES = 64 * 1024 * 1024;

/** The name of a segment, with its number. The one file of format version 1 is number 0. */
const SEGMENT = /^(?:segment-([1-9]\d{0,14})|messages)\.jsonl$/;

interface Segment {
  readonly number: number;
  /** The number of acknowledged messages in the segments before it. */
  readonly start: number;
}

export class SegmentLog {
  /** The secrets of session cookies. Undefined before `open`. */
  secrets: Secrets | undefined;
  #keep = 0;
  #lock: Lock | undefined;
  /** Oldest first. */
  #segments: Segment[] = [];
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
  async open(keep: number): Promise<{ lastPrunedId: Id; stored: Stored[] }> {
    this.#keep = keep;
    await makeFolder(this.folder);
    await this.#claim();
    const stored: Stored[] = [];
    let lastPrunedId: Id | undefined;
    for (const number of await findSegments(this.folder)) {
      const path = pathOf(this.folder, number);
      // What a killed process wrote may be in memory only.
      await sync(path);
      const { header, records, damaged } = decodeSegment(await readFile(path));
      // The header of version 1, or of a copied segment, does not speak of the segment before it.
      if (header?.sequence === number) {
        const difference = () => compareIds(stored.at(-1)?.message.id ?? header.after, header.after);
        while (difference() > 0) stored.pop();
        if (difference() < 0) this.warn(`messages before ${path} are missing`);
      }
      if (stored.length === 0) lastPrunedId = header?.after ?? lastPrunedId;
      const start = stored.length;
      this.#segments.push({ number, start });
      for (const record of records) {
        const lastId = stored.at(-1)?.message.id ?? lastPrunedId ?? "0-0";
        // A copied segment repeats records.
        if (compareIds(record.message.id, lastId) > 0) stored.push(record);
      }
      const skipped = damaged + records.length - (stored.length - start);
      if (skipped > 0) {
        this.warn(`damaged lines in ${path} are skipped: ${skipped}`);
        await copyFile(path, `${path}.damaged`);
      }
    }
    const [oldest] = stored;
    // Without a header, any id before the oldest message will do.
    lastPrunedId ??= `${oldest ? parseId(oldest.message.id)[0] - 1 : Date.now()}-0`;
    this.#lastId = stored.at(-1)?.message.id ?? lastPrunedId;
    this.#count = stored.length;
    await this.append([]);
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
      const last = this.#segments.at(-1);
      const isFull = last && this.#count - last.start >= this.#keep;
      const isUsable = this.#file && !isFull && this.#size <= MAX_SEGMENT_BYTES;
      const segment = isUsable && last ? last : await this.#openNext();
      const header = { holdline: 2, sequence: segment.number, after: this.#lastId };
      const lines = messages.map(({ message, key }) => encode({ ...message, key }));
      const bytes = Buffer.from((segment === last ? "" : encode(header)) + lines.join(""));
      await this.#file?.appendFile(bytes);
      await this.#file?.datasync();
      const path = pathOf(this.folder, segment.number);
      const { ino, size } = await stat(path);
      const isOurs = ino === this.#inode && size === this.#size + bytes.length;
      if (!isOurs) throw new Error(`${path} was replaced, or written to by another program`);
      if (!isWanted()) throw new Error("the messages were refused meanwhile");
      this.#size += bytes.length;
      if (segment !== last) await this.#use(segment);
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

  /** Opens the file of a new segment. After an attempt that failed, its number and file are used again. */
  async #openNext(): Promise<Segment> {
    await this.#closeFile();
    await this.#claim();
    const number = 1 + (this.#segments.at(-1)?.number ?? 0);
    this.#file = await open(pathOf(this.folder, number), "w", 0o600);
    this.#inode = (await this.#file.stat()).ino;
    this.#size = 0;
    await sync(this.folder);
    return { number, start: this.#count };
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

  /** Adds a segment that is on the disk, and deletes those that are no longer needed. */
  async #use(segment: Segment): Promise<void> {
    const all = [...this.#segments, segment];
    this.#segments = all.filter(({ start }, i) => {
      const end = all[i + 1]?.start ?? Infinity;
      return end > start && end > this.#count - this.#keep;
    });
    const needed = this.#segments.map(({ number }) => number);
    try {
      for (const number of await findSegments(this.folder))
        if (!needed.includes(number)) await rm(pathOf(this.folder, number));
    } catch (error) {
      this.warn(`old segments stay until the next segment: ${messageOf(error)}`);
    }
  }
}

/** Returns the numbers of the segments in a folder, in order. */
async function findSegments(folder: string): Promise<number[]> {
  const matches = (await readdir(folder)).map((name) => SEGMENT.exec(name));
  return matches.flatMap((match) => (match ? Number(match[1] ?? 0) : [])).sort((a, b) => a - b);
}

function pathOf(folder: string, number: number): string {
  return join(folder, number === 0 ? "messages.jsonl" : `segment-${number}.jsonl`);
}
