/**
 * The default store: a file of lines in a folder. A message is kept when its bytes are on the disk, and not before.
 *
 * Posts that arrive while the disk is busy wait together and then share one write and one sync, so eight posters cost
 * hardly more than one.
 *
 * When a write fails, its posts are refused. Each later post tries again, and so does a timer, so that health
 * returns with the disk, also when nobody posts.
 */
import { mkdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { setImmediate } from "node:timers/promises";
import { type Id, nextId } from "../feed/id.js";
import { Journal } from "./file/journal.js";
import type { Entry } from "./file/line.js";
import { type Lock, lock } from "./file/lock.js";
import { syncFolder } from "./file/log.js";
import { keepSecrets, type Secrets } from "./file/secret.js";
import { IdempotencyKeys } from "./idempotency.js";
import { type Message, type NewMessage, type Snapshot, type Store, StoreUnavailable } from "./store.js";

/** How long after a failed write the next one is tried, in milliseconds; twice as long each time, up to `RETRY_MAX`. */
const RETRY_MIN = 250;
const RETRY_MAX = 8000;

export interface FileStoreOptions {
  /** Holds `messages.jsonl` and `secret`; made, for its owner only, when it is missing. One process at a time. */
  readonly folder: string;
  /** How many of the newest messages are kept, at least 1. The file holds up to twice as many before it is rewritten. */
  readonly keep: number;
  /** Is told, in one line each, what a person should know: damage found, a disk that fails, and that it works again. */
  readonly warn: (line: string) => void;
}

interface Post {
  readonly draft: NewMessage;
  readonly resolve: (message: Message) => void;
  readonly reject: (error: StoreUnavailable) => void;
}

export class FileStore implements Store {
  readonly #options: FileStoreOptions;
  readonly #keys: IdempotencyKeys;
  #journal: Journal | undefined;
  #lock: Lock | undefined;
  #secrets: Secrets | undefined;
  #receive: (message: Message) => void = () => {};
  #last: Id = "0-0";
  #queue: Post[] = [];
  #flushing: Promise<void> | undefined;
  #writable = true;
  #retry: NodeJS.Timeout | undefined;
  #retryDelay = RETRY_MIN;

  constructor(options: FileStoreOptions) {
    this.#options = options;
    this.#keys = new IdempotencyKeys(options.keep);
  }

  get writable(): boolean {
    return this.#writable;
  }

  /** What session cookies are signed with; the same over a restart. Throws before `open`. */
  get secrets(): Secrets {
    if (!this.#secrets) throw new Error("the store is not open");
    return this.#secrets;
  }

  async open(receive: (message: Message) => void): Promise<Snapshot> {
    this.#receive = receive;
    const { folder, keep, warn } = this.#options;
    try {
      await makeFolder(folder);
      await this.#restore();
      const path = join(folder, "messages.jsonl");
      const journal = await Journal.open({ path, keep, warn, restore: () => this.#restore() });
      const { floor, entries } = journal;
      for (const { message, key } of entries) this.#keys.keep(message, key);
      this.#last = entries.at(-1)?.message.id ?? floor;
      this.#journal = journal;
      return { lastPrunedId: floor, messages: entries.map(({ message }) => message) };
    } catch (error) {
      await this.#lock?.release();
      throw new Error(`cannot keep messages in ${folder}: ${messageOf(error)}`, { cause: error });
    }
  }

  append(draft: NewMessage): Promise<Message> {
    return this.#keys.once(draft, () => {
      return new Promise((resolve, reject) => {
        this.#queue.push({ draft, resolve, reject });
        this.#flushing ??= this.#flush();
      });
    });
  }

  async close(): Promise<void> {
    while (this.#flushing) await this.#flushing;
    const journal = this.#journal;
    this.#journal = undefined;
    clearTimeout(this.#retry);
    await journal?.close();
    await this.#lock?.release();
  }

  /** Keeps what waits, all of it at once, until nothing waits. */
  async #flush(): Promise<void> {
    while (this.#queue.length > 0) {
      // Whoever posts in the same turn of the event loop comes along.
      await setImmediate();
      const posts = this.#queue;
      this.#queue = [];
      const entries = this.#number(posts);
      const error = await this.#write(entries);
      for (const [i, { message, key }] of entries.entries()) {
        if (error) posts[i]?.reject(error);
        else {
          this.#last = message.id;
          this.#keys.keep(message, key);
          this.#receive(message);
          posts[i]?.resolve(message);
        }
      }
    }
    this.#flushing = undefined;
  }

  #number(posts: readonly Post[]): Entry[] {
    let id = this.#last;
    return posts.map(({ draft: { user, text, kind, key } }) => {
      const at = Date.now();
      id = nextId(id, at);
      return { message: { id, user, text, at, ...(kind && { kind }) }, key };
    });
  }

  /** Writes entries, or, without any, tries whether it could. Gives what went wrong. */
  async #write(entries: readonly Entry[]): Promise<StoreUnavailable | undefined> {
    const { folder, warn } = this.#options;
    if (!this.#journal) return new StoreUnavailable(new Error("the store is not open"));
    try {
      await this.#journal.append(entries);
      if (!this.#writable) warn(`${folder}: messages are kept again`);
      this.#writable = true;
      this.#retryDelay = RETRY_MIN;
      return undefined;
    } catch (error) {
      if (this.#writable) warn(`${folder}: messages cannot be kept, posts are refused: ${messageOf(error)}`);
      this.#writable = false;
      this.#tryLater();
      return new StoreUnavailable(error);
    }
  }

  #tryLater(): void {
    if (this.#retry || !this.#journal) return;
    this.#retry = setTimeout(async () => {
      this.#retry = undefined;
      if (!this.#writable) await this.#write([]);
    }, this.#retryDelay).unref();
    this.#retryDelay = Math.min(2 * this.#retryDelay, RETRY_MAX);
  }

  /** What the folder holds beside the messages: at the start, and when the folder comes back. */
  async #restore(): Promise<void> {
    const { folder, warn } = this.#options;
    if (!(await this.#lock?.held())) {
      await this.#lock?.release();
      this.#lock = undefined;
      this.#lock = await lock(folder, warn);
    }
    const secrets = await keepSecrets(join(folder, "secret"), this.#secrets);
    this.#secrets ??= secrets;
  }
}

/** Makes a folder, and those above it, so that they outlast a power cut. Node's own `recursive` can loop for ever (in /proc). */
async function makeFolder(folder: string): Promise<void> {
  const parent = dirname(resolve(folder));
  const made = await mkdir(folder, { mode: 0o700 }).then(
    () => true,
    async (error: NodeJS.ErrnoException) => {
      if (error.code === "EEXIST" && (await stat(folder)).isDirectory()) return false;
      if (error.code !== "ENOENT" || (await exists(parent))) throw error;
      await makeFolder(parent);
      await mkdir(folder, { mode: 0o700 });
      return true;
    },
  );
  if (made) await syncFolder(parent);
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
