/**
 * An append-only log in segments, `segment-<sequence>.jsonl`. Nothing is rewritten: after a failure a new segment begins,
 * whose header says what was acknowledged; what older segments hold beyond that is ignored when they are read.
 */
import { type FileHandle, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { compareIds, type Id } from "../../feed/id.js";
import { idBefore } from "../id.js";
import { ifExists, keepSecrets, makeFolder, type Secrets, sync } from "./folder.js";
import { type Lock, lock } from "./lock.js";
import { decodeSegment, encode, type Stored } from "./record.js";

export interface SegmentLogOptions {
  readonly folder: string;
  /** The number of newest messages to keep. */
  readonly keep: number;
  readonly warn: (line: string) => void;
}

interface Segment {
  readonly path: string;
  readonly isDamaged: boolean;
  /** The number of acknowledged messages in it. */
  count: number;
}

export class SegmentLog {
  readonly #options: SegmentLogOptions;
  #lock: Lock | undefined;
  #secrets: Secrets | undefined;
  /** Oldest first. */
  #segments: Segment[] = [];
  /** The file of the last segment, as long as no call on it has failed. */
  #file: FileHandle | undefined;
  #inode = 0;
  #size = 0;
  #sequence = 0;
  /** The id that was acknowledged last. */
  #lastId: Id = `${Date.now()}-0`;

  constructor(options: SegmentLogOptions) {
    this.#options = options;
  }

  /** Opens the folder, once. What it returns is on the disk. */
  async open(): Promise<{ secrets: Secrets; lastPrunedId: Id; stored: Stored[] }> {
    await makeFolder(this.#options.folder);
    const secrets = await this.#claim();
    const all = (await this.#read()).sort((a, b) => compareIds(a.message.id, b.message.id));
    const stored = all.filter(({ message }, i) => message.id !== all[i - 1]?.message.id);
    const [first] = stored;
    if (first && compareIds(this.#lastId, first.message.id) >= 0) this.#lastId = idBefore(first.message.id);
    const pruned = Math.max(0, stored.length - this.#options.keep);
    const lastPrunedId = stored[pruned - 1]?.message.id ?? this.#lastId;
    this.#lastId = stored.at(-1)?.message.id ?? lastPrunedId;
    await this.openNext();
    return { secrets, lastPrunedId, stored: stored.slice(pruned) };
  }

  /** Reads what was acknowledged, and sets `#lastId` to what the oldest header says. */
  async #read(): Promise<Stored[]> {
    const { folder, warn } = this.#options;
    const sequences = await findSegments(folder);
    this.#sequence = sequences.at(-1) ?? 0;
    const version1 = join(folder, "messages.jsonl");
    if (await ifExists(stat(version1))) {
      sequences.push(++this.#sequence);
      await rename(version1, pathOf(folder, this.#sequence));
    }
    let all: Stored[] = [];
    let limit: Id | undefined;
    for (const sequence of sequences.reverse()) {
      const path = pathOf(folder, sequence);
      const isNewest = sequence === this.#sequence;
      // What a killed process wrote last may be in memory only.
      if (isNewest) await sync(path);
      const { header, stored, damaged, truncated } = decodeSegment(await readFile(path));
      const unreadable = damaged + (isNewest ? truncated : 0);
      if (unreadable > 0) warn(`${path}: ${unreadable} bytes are damaged or incomplete, and are skipped`);
      const last = limit;
      const acknowledged = last ? stored.filter(({ message }) => compareIds(message.id, last) <= 0) : stored;
      this.#segments.unshift({ path, isDamaged: damaged > 0, count: acknowledged.length });
      all = acknowledged.concat(all);
      this.#lastId = header?.after ?? this.#lastId;
      // The header of version 1, or of a copied segment, does not speak of the segment before it.
      if (header?.sequence === sequence) limit = header.after;
    }
    return all;
  }

  /**
   * Appends messages. Resolves when they are on the disk, which acknowledges them. When it rejects, none of them is
   * read again once the next segment is open.
   * @param isWanted says, when they are on the disk, whether to acknowledge them
   */
  async append(messages: readonly Stored[], isWanted: () => boolean): Promise<void> {
    let segment = this.#segments.at(-1);
    if (!this.#file || !segment || segment.count >= this.#options.keep) segment = await this.openNext();
    const lines = messages.map(({ message, key }) => encode({ ...message, key }));
    await this.#write(segment.path, lines.join(""), isWanted);
    segment.count += messages.length;
    this.#lastId = messages.at(-1)?.message.id ?? this.#lastId;
  }

  /** Begins a new segment and deletes those that are no longer needed. When it resolves, the disk works. */
  async openNext(): Promise<Segment> {
    const { folder } = this.#options;
    await this.#closeFile();
    await this.#claim();
    const sequence = this.#sequence + 1;
    const path = pathOf(folder, sequence);
    // After an attempt that failed, its file is used again.
    this.#file = await open(path, "w", 0o600);
    this.#inode = (await this.#file.stat()).ino;
    this.#size = 0;
    await sync(folder);
    await this.#write(path, encode({ holdline: 2, sequence, after: this.#lastId }));
    this.#sequence = sequence;
    const segment = { path, isDamaged: false, count: 0 };
    this.#segments.push(segment);
    await this.#prune();
    return segment;
  }

  /** Writes text to the end of the file and syncs it. After a failure, the file is not written to again. */
  async #write(path: string, text: string, isWanted = () => true): Promise<void> {
    const bytes = Buffer.from(text);
    try {
      await this.#file?.appendFile(bytes);
      await this.#file?.datasync();
      const { ino, size } = await stat(path);
      const isOurs = ino === this.#inode && size === this.#size + bytes.length;
      if (!isOurs) throw new Error(`${path} was replaced, or written to by another program`);
      if (!isWanted()) throw new Error("the messages were refused meanwhile");
    } catch (error) {
      // If this fails too, the header of the next segment is enough.
      await this.#file?.truncate(this.#size).catch(() => undefined);
      await this.#closeFile();
      throw error;
    }
    this.#size += bytes.length;
  }

  /** Lets go of the folder. */
  async close(): Promise<void> {
    await this.#closeFile();
    await this.#lock?.release();
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    // What was acknowledged is synced, so a failure changes nothing.
    await file?.close().catch(() => undefined);
  }

  /** Makes sure that the folder is this process's, also after it was deleted and made again. */
  async #claim(): Promise<Secrets> {
    const { folder, warn } = this.#options;
    if (this.#secrets && (await this.#lock?.isHeld())) return this.#secrets;
    const taken = await lock(folder, warn);
    // Not before: the old lock is needed if the folder was only moved away.
    await this.#lock?.release();
    this.#lock = taken;
    if (this.#secrets && (await findSegments(folder)).length > 0) {
      await taken.release();
      throw new Error("its lock was deleted, and another process may have used it; restart this one");
    }
    this.#secrets = await keepSecrets(join(folder, "secret"), this.#secrets);
    return this.#secrets;
  }

  /** Deletes the segments that are no longer needed, and sets the damaged ones aside. */
  async #prune(): Promise<void> {
    const { keep, warn } = this.#options;
    let surplus = this.#segments.reduce((sum, { count }) => sum + count, -keep);
    for (const segment of this.#segments.slice(0, -1)) {
      const { path, isDamaged, count } = segment;
      surplus -= count;
      if (surplus < 0 && count > 0) continue;
      this.#segments = this.#segments.filter((other) => other !== segment);
      const gone = isDamaged ? rename(path, `${path}.damaged`) : rm(path);
      await ifExists(gone).catch((error) => warn(`${path} stays, although it is not needed: ${error}`));
    }
  }
}

/** Returns the sequence numbers of the segments in a folder, in order. */
async function findSegments(folder: string): Promise<number[]> {
  const names = (await readdir(folder)).map((name) => /^segment-([1-9]\d{0,14})\.jsonl$/.exec(name)?.[1]);
  return names.flatMap((sequence) => (sequence ? Number(sequence) : [])).sort((a, b) => a - b);
}

function pathOf(folder: string, sequence: number): string {
  return join(folder, `segment-${sequence}.jsonl`);
}
