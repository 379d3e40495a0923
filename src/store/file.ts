/**
 * The default store: segments in a folder. A message is kept when its bytes are on the disk, and not before. Posts that
 * arrive while the disk is busy share one write and one sync. One call to the disk is under way at a time.
 */
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import type { Secrets } from "./file/folder.js";
import { SegmentLog } from "./file/log.js";
import { MemoryStore, type Stored } from "./memory.js";
import { DurableStore, messageOf, type StoreOptions } from "./options.js";
import type { Message, NewMessage, Receive, Snapshot, Store } from "./store.js";
import { StoreUnavailable } from "./store.js";

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

/** Keeps messages in a folder, which holds up to three times as many as are kept, through crashes, power cuts and disks that fail. */
export class FileStore extends DurableStore implements Store {
  /** The secrets of session cookies, the same after a restart. Undefined before `open`. */
  secrets: Secrets | undefined;
  readonly #log: SegmentLog;
  readonly #memory = new MemoryStore();
  #isOpen = false;
  /** Posts that are neither kept nor refused yet, oldest first. */
  #waiting: Post[] = [];
  #writing: Promise<void> | undefined;

  /** Throws a `RangeError` or a `TypeError` that names the wrong option. */
  constructor({ folder, ...others }: FileStoreOptions = { folder: "" }) {
    super(folder, others);
    if (!folder || typeof folder !== "string") throw new TypeError("folder must be the path of a folder");
    this.#log = new SegmentLog(folder, this.warn);
  }

  async open(receive: Receive, _reset?: unknown, backlog = 1000): Promise<Snapshot> {
    try {
      const keep = this.keepFor(backlog);
      const found = await this.#log.open(keep);
      this.#isOpen = true;
      this.secrets = this.#log.secrets;
      return this.#memory.open(receive, undefined, keep, found);
    } catch (error) {
      await this.#log.close();
      throw new Error(`cannot keep messages in ${this.place}: ${messageOf(error)}`, { cause: error });
    }
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
    const closed = Promise.resolve(this.#writing).then(() => this.#log.close());
    await Promise.race([closed, sleep(CLOSE_TIMEOUT_MS, undefined, { ref: false })]);
    if (this.#waiting.length > 0) this.#refuse(new Error("the store was closed before the disk answered"));
  }

  /** Writes what waits, batch after batch, until nothing waits and the disk works. */
  async #write(): Promise<void> {
    while (this.#waiting.length > 0 || (this.#isOpen && !this.writable)) {
      // Posts of the same turn of the event loop share the write.
      await setImmediate();
      // After a failure nothing waits. Then the empty batch is an attempt to write.
      const batch = [...this.#waiting];
      try {
        // A post that was refused meanwhile is not kept.
        await this.#log.append(batch, () => this.#waiting[0] === batch[0]);
        this.recovered();
        for (const { resolve } of this.#waiting.splice(0, batch.length)) resolve();
      } catch (error) {
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
}
