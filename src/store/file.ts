/**
 * The default store: append-only segments in a folder. A message is kept when its bytes are on the disk, and not before. Posts
 * that arrive while the disk is busy share one write and one sync. One call to the disk is under way at a time.
 */
import { type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import type { Id } from "../feed/id.js";
import { DurableStore, type StoreOptions } from "./durable.js";
import { keepSecrets, lock, makeFolder, type Secrets, sync } from "./file/folder.js";
import { encode, findSegments, readSegments, type Segment } from "./file/segment.js";
import { MemoryStore, type Stored } from "./memory.js";
import type { Message, NewMessage, Receive, Snapshot, Store } from "./store.js";
import { StoreUnavailable } from "./store.js";

/** A segment of more bytes is ended. The start reads a segment as one text, which has less than 2^29 characters in V8. */
const MAX_BYTES = 16 * 1024 * 1024;
/** When a post takes longer, all posts are refused until the disk works again. */
const TIMEOUT_MS = 5_000;
/** The time between two attempts to write to a disk that failed. */
const RETRY_MS = 1_000;
/** The longest time that `close` waits for the disk. */
const CLOSE_TIMEOUT_MS = 3_000;

/** Options of a file store. */
export interface FileStoreOptions extends StoreOptions {
  /** The folder of messages and session secrets, for one process at a time. Made, for its owner only, if it is missing. */
  readonly folder: string;
}

type Post = Stored & { resolve: () => void; reject: (error: StoreUnavailable) => void };

/**
 * Keeps messages in a folder. They survive crashes, power cuts and failing disks. The folder holds up to three times as many
 * messages as are kept. Nothing is rewritten: after a failure a new segment begins, whose header says what was acknowledged.
 */
export class FileStore extends DurableStore implements Store {
  /** The secrets of session cookies, the same after a restart. Undefined before `open`. */
  secrets: Secrets | undefined;
  readonly #memory = new MemoryStore();
  #isOpen = false;
  /** Posts that are neither kept nor refused yet, oldest first. */
  #waiting: Post[] = [];
  #writing: Promise<void> | undefined;
  #lock: Awaited<ReturnType<typeof lock>> | undefined;
  /** Oldest first. */
  #segments: Segment[] = [];
  /** The number of acknowledged messages in all segments. */
  #count = 0;
  /** The id that was acknowledged last. */
  #lastId: Id = "0-0";
  /** The file of the last segment. Undefined after a failure: then the next segment is begun. */
  #file: FileHandle | undefined;
  /** The acknowledged bytes in the file. */
  #size = 0;

  /** Throws a `RangeError` or a `TypeError` that names the wrong option. */
  constructor({ folder, ...others }: FileStoreOptions = { folder: "" }) {
    super(folder, others);
    if (!folder || typeof folder !== "string") throw new TypeError("folder must be the path of a folder");
  }

  protected async load(receive: Receive): Promise<Snapshot> {
    // An earlier attempt that failed may have set it. Then `#claim` would assume that this process has used the folder.
    this.secrets = undefined;
    await makeFolder(this.place);
    await this.#claim();
    const { segments, lastId, ...found } = await readSegments(this.place, this.warn);
    this.#segments = segments;
    this.#count = found.stored.length;
    this.#lastId = lastId;
    await this.#beginSegment();
    this.#isOpen = true;
    return this.#memory.open(receive, undefined, this.keep, found);
  }

  append(newMessage: NewMessage): Promise<Message> {
    return this.#memory.append(newMessage, async (stored) => {
      const reason = this.#isOpen ? this.failure : new Error("the store is not open");
      if (reason) throw new StoreUnavailable(reason);
      const late = () => this.#refuse(new Error(`the disk did not answer within ${TIMEOUT_MS} ms`));
      const timer = setTimeout(late, TIMEOUT_MS);
      await new Promise<void>((resolve, reject) => {
        this.#waiting.push({ ...stored, resolve, reject });
        this.#writing ??= this.#write();
      }).finally(() => clearTimeout(timer));
    });
  }

  async close(): Promise<void> {
    this.#isOpen = false;
    // The folder stays locked until a call that hangs returns, because the call may still change a file.
    const closed = Promise.resolve(this.#writing).then(() => this.#closeFile());
    const unlocked = closed.then(() => this.#lock?.release());
    await Promise.race([unlocked, sleep(CLOSE_TIMEOUT_MS, undefined, { ref: false })]);
    if (this.#waiting.length > 0) this.#refuse(new Error("the store was closed before the disk answered"));
  }

  /** Writes what waits, batch after batch, until nothing waits and the disk works. */
  async #write(): Promise<void> {
    while (this.#waiting.length > 0 || (this.#isOpen && !this.writable)) {
      // Posts of the same turn of the event loop share the write.
      await setImmediate();
      // After a failure nothing waits, and an empty batch tests whether the disk works again.
      const batch = [...this.#waiting];
      try {
        await this.#append(batch);
        this.recovered();
        for (const { resolve } of this.#waiting.splice(0, batch.length)) resolve();
      } catch (error) {
        // If this fails too, the header of the next segment is enough.
        await this.#file?.truncate(this.#size).catch(() => undefined);
        await this.#closeFile();
        this.#refuse(error);
        if (batch.length === 0) await sleep(RETRY_MS);
      }
    }
    this.#writing = undefined;
  }

  /** Refuses the posts that wait, and all others until the disk works again. */
  #refuse(reason: unknown): void {
    const error = this.failed(reason);
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  /** Appends a batch to the last segment. Resolves when it is on the disk, which acknowledges it. */
  async #append(batch: readonly Post[]): Promise<void> {
    const start = this.#segments.at(-1)?.start ?? 0;
    const isFull = this.#size > MAX_BYTES || this.#count - start >= this.keep;
    const file = (!isFull && this.#file) || (await this.#beginSegment());
    const lines = batch.map(({ message, key }) => encode({ ...message, key }));
    const size = await this.#writeTo(file, lines.join(""));
    // A post that was refused meanwhile is not kept.
    if (this.#waiting[0] !== batch[0]) throw new Error("the posts were refused meanwhile");
    this.#size = size;
    this.#count += batch.length;
    this.#lastId = batch.at(-1)?.message.id ?? this.#lastId;
  }

  /** Begins a new segment, and returns its file. After an attempt that failed, its number and file are used again. */
  async #beginSegment(): Promise<FileHandle> {
    await this.#closeFile();
    await this.#claim();
    const number = 1 + (this.#segments.at(-1)?.number ?? 0);
    const path = join(this.place, `segment-${number}.jsonl`);
    const file = await open(path, "w", 0o600);
    this.#file = file;
    this.#size = 0;
    await sync(this.place);
    this.#size = await this.#writeTo(file, encode({ holdline: 2, after: this.#lastId }));
    this.#segments.push({ number, path, start: this.#count });
    await this.#prune().catch(({ message }) => this.warn(`old segments stay for now: ${message}`));
    return file;
  }

  /** Appends text to the file. Resolves with the new size of the file when it is on the disk, in the locked folder. */
  async #writeTo(file: FileHandle, text: string): Promise<number> {
    const bytes = Buffer.from(text);
    await file.appendFile(bytes);
    await file.datasync();
    const { nlink, size } = await file.stat();
    if (nlink > 0 && size === this.#size + bytes.length && (await this.#lock?.isHeld())) return size;
    throw new Error("the segment or its folder was deleted, replaced, or written to by another program");
  }

  /** Deletes the segments that are empty or not needed any more. */
  async #prune(): Promise<void> {
    const isOld = ({ start }: Segment, n: number) =>
      (this.#segments[n + 1]?.start ?? Infinity) <= Math.max(start, this.#count - this.keep);
    for (const { path } of this.#segments.filter(isOld)) await rm(path, { force: true });
    this.#segments = this.#segments.filter((segment, n) => !isOld(segment, n));
  }

  async #closeFile(): Promise<void> {
    // What was acknowledged is on the disk already, so a failure to close loses nothing.
    await this.#file?.close().catch(() => undefined);
    this.#file = undefined;
  }

  /** Locks the folder, again if it was deleted and made again. Rejects if another process may have used it meanwhile. */
  async #claim(): Promise<void> {
    if (await this.#lock?.isHeld()) return;
    const taken = await lock(this.place, this.warn);
    // The old lock goes last: if the folder was only moved away, the lock must stay until there is another one.
    await this.#lock?.release();
    this.#lock = taken;
    if (this.secrets && (await findSegments(this.place)).length > 0) {
      await taken.release();
      throw new Error("its lock was deleted, and another process may have used it; restart this one");
    }
    this.secrets = await keepSecrets(join(this.place, "secret"), this.secrets);
  }
}
