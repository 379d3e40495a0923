/**
 * The default store: segments in a folder. A message is kept when its bytes are on the disk, and not before. Posts that
 * arrive while the disk is busy share one write and one sync. One call to the disk is under way at a time.
 */
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { type Id, nextId } from "../feed/id.js";
import type { Secrets } from "./file/folder.js";
import { SegmentLog } from "./file/log.js";
import type { Stored } from "./file/record.js";
import { IdempotencyKeys } from "./idempotency.js";
import { type Message, type NewMessage, type Snapshot, type Store, StoreUnavailable } from "./store.js";
import { safely } from "./warn.js";

/** When a post takes longer, all posts are refused until the disk works again. */
const TIMEOUT_MS = 5_000;
/** The time between two attempts to write to a disk that failed. */
const RETRY_MS = 1_000;
/** The longest time that `close` waits for the disk. */
const CLOSE_TIMEOUT_MS = 3_000;

/** Options of a file store. */
export interface FileStoreOptions {
  /** The folder of messages and session secrets, for one process at a time. Made, for its owner only, if it is missing. */
  readonly folder: string;
  /** The number of newest messages to keep, 1 to 1,000,000. The folder holds up to three times as many. Default 1,000. */
  readonly keep?: number;
  /** Receives a line when a file is damaged, when the disk fails, and when it works again. Default: `console.error`. */
  readonly warn?: (line: string) => void;
}

interface Post extends Stored {
  readonly deadline: number;
  readonly resolve: (message: Message) => void;
  readonly reject: (error: StoreUnavailable) => void;
}

/** Keeps messages in a folder, through crashes, power cuts and disks that fail. */
export class FileStore implements Store {
  readonly #options: Required<FileStoreOptions>;
  readonly #keys: IdempotencyKeys;
  #receive: (message: Message) => void = () => {};
  #secrets: Secrets | undefined;
  /** Undefined before `open` and after `close`. */
  #log: SegmentLog | undefined;
  /** The id that was given last, perhaps to a post that was refused: no id is used twice. */
  #lastId: Id = "0-0";
  /** Posts that are neither kept nor refused yet, oldest first. */
  #waiting: Post[] = [];
  #writing: Promise<void> | undefined;
  /** The reason why posts are refused. */
  #failure: unknown;

  /** Throws a `TypeError` or a `RangeError` that names the wrong option. */
  constructor({ folder, keep = 1000, warn = console.error }: FileStoreOptions) {
    if (typeof folder !== "string" || folder === "") throw new TypeError("folder is the path of a folder");
    if (typeof warn !== "function") throw new TypeError("warn is a function");
    if (!Number.isInteger(keep) || keep < 1 || keep > 1_000_000) {
      throw new RangeError(`keep is a whole number from 1 to 1,000,000, not ${keep}`);
    }
    this.#options = { folder, keep, warn: safely(warn) };
    this.#keys = new IdempotencyKeys(keep);
  }

  get writable(): boolean {
    return this.#failure === undefined;
  }

  /** The secrets of session cookies, the same after a restart. Throws before `open`. */
  get secrets(): Secrets {
    if (!this.#secrets) throw new Error("the store is not open");
    return this.#secrets;
  }

  async open(receive: (message: Message) => void): Promise<Snapshot> {
    const { folder } = this.#options;
    const log = new SegmentLog(this.#options);
    this.#receive = receive;
    try {
      const { secrets, lastPrunedId, stored } = await log.open();
      for (const { message, key } of stored) this.#keys.keep(message, key);
      this.#secrets = secrets;
      this.#lastId = stored.at(-1)?.message.id ?? lastPrunedId;
      this.#log = log;
      return { lastPrunedId, messages: stored.map(({ message }) => message) };
    } catch (error) {
      await log.close();
      throw new Error(`cannot keep messages in ${folder}: ${messageOf(error)}`, { cause: error });
    }
  }

  append(newMessage: NewMessage): Promise<Message> {
    return this.#keys.once(newMessage, async () => {
      const log = this.#log;
      if (!log) throw new StoreUnavailable(new Error("the store is not open"));
      if (!this.writable) throw new StoreUnavailable(this.#failure);
      const { user, text, kind, key } = newMessage;
      const at = Date.now();
      this.#lastId = nextId(this.#lastId, at);
      const message: Message = { id: this.#lastId, user, text, at, ...(kind && { kind }) };
      return new Promise<Message>((resolve, reject) => {
        this.#waiting.push({ message, key, deadline: performance.now() + TIMEOUT_MS, resolve, reject });
        this.#writing ??= this.#write(log);
      });
    });
  }

  async close(): Promise<void> {
    const log = this.#log;
    this.#log = undefined;
    const end = async () => {
      await this.#writing;
      await log?.close();
    };
    // The folder stays locked until a call that hangs returns, because the call may still change a file.
    await Promise.race([end(), sleep(CLOSE_TIMEOUT_MS, undefined, { ref: false })]);
    if (this.#waiting.length > 0) this.#refuse(new Error("the store was closed before the disk answered"));
  }

  /** Writes what waits, batch after batch, until nothing waits. */
  async #write(log: SegmentLog): Promise<void> {
    for (let oldest = this.#waiting[0]; oldest; oldest = this.#waiting[0]) {
      // Posts of the same turn of the event loop come along.
      await setImmediate();
      const batch = [...this.#waiting];
      const tooSlow = () => this.#refuse(new Error(`the disk did not answer within ${TIMEOUT_MS} ms`));
      const timer = setTimeout(tooSlow, oldest.deadline - performance.now());
      try {
        await log.append(batch, () => this.#waiting.length > 0).finally(() => clearTimeout(timer));
      } catch (error) {
        this.#refuse(error);
        await this.#recover(log);
        continue;
      }
      this.#waiting.splice(0, batch.length);
      for (const { message, key, resolve } of batch) {
        this.#keys.keep(message, key);
        this.#receive(message);
        resolve(message);
      }
    }
    this.#writing = undefined;
  }

  /** Refuses the posts that wait, and all others until the disk works again. */
  #refuse(reason: unknown): void {
    const { folder, warn } = this.#options;
    if (this.writable) warn(`${folder}: messages cannot be kept, posts are refused: ${messageOf(reason)}`);
    this.#failure ??= reason;
    for (const { reject } of this.#waiting.splice(0)) reject(new StoreUnavailable(reason));
  }

  /** Waits until a new segment can be begun in time, or the store is closed. */
  async #recover(log: SegmentLog): Promise<void> {
    for (; this.#log; await sleep(RETRY_MS)) {
      const began = performance.now();
      try {
        await log.openNext();
        if (performance.now() - began > TIMEOUT_MS) continue;
        this.#failure = undefined;
        this.#options.warn(`${this.#options.folder}: messages are kept again`);
        return;
      } catch (error) {
        this.#failure = error;
      }
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
