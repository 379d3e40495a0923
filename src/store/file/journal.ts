/**
 * The message file with what is in it. Each line of the file is remembered here, so that the file can be written anew
 * when it is damaged, when the disk failed, when its folder went away and came back, and when it holds more than twice
 * what the backlog needs.
 *
 * Whatever touches the file has its turn, one after the other. Only the long part of writing it anew, the draft, goes
 * on beside the appends; what they added meanwhile is added to the draft before it takes the file's place.
 */
import { copyFile, type FileHandle, link } from "node:fs/promises";
import type { Id } from "../../feed/id.js";
import { type Entry, encodeEntry, encodeHead, type Reading, read } from "./line.js";
import { Log } from "./log.js";

export interface JournalOptions {
  readonly path: string;
  /** How many of the newest messages are needed, at least 1. */
  readonly keep: number;
  /** Is told, in one line each, what was wrong with the file, and when it could not be rewritten. */
  readonly warn: (line: string) => void;
  /** Called before the file is written anew because it was lost or not to be trusted. */
  readonly restore: () => Promise<void>;
}

interface Draft {
  readonly file: FileHandle;
  readonly floor: Id;
  /** Which of the remembered entries it holds. */
  readonly from: number;
  readonly to: number;
}

// Lines encoded in one go; about a millisecond.
const CHUNK = 500;

export class Journal {
  readonly #options: JournalOptions;
  readonly #log: Log;
  // What the file holds.
  #floor: Id;
  #entries: Entry[];
  #turn: Promise<unknown> = Promise.resolve();
  #draft: Promise<Draft> | undefined;
  #rewriteAbove: number;

  private constructor(options: JournalOptions, log: Log, { floor, entries }: Reading) {
    this.#options = options;
    this.#log = log;
    this.#floor = floor ?? `${Date.now()}-0`;
    this.#entries = [...entries];
    this.#rewriteAbove = 2 * options.keep;
  }

  /** Opens the file, or makes it, and mends what is wrong with it. */
  static async open(options: JournalOptions): Promise<Journal> {
    const { log, bytes, isNew } = await Log.open(options.path);
    try {
      const reading = read(bytes);
      const journal = new Journal(options, log, reading);
      if (!isNew) await report(options, reading, bytes.length);
      if (reading.faults.length > 0 || reading.torn !== undefined) await journal.#renew();
      return journal;
    } catch (error) {
      await log.close();
      throw error;
    }
  }

  /** The id before the oldest needed message. */
  get floor(): Id {
    return this.#entries[this.#surplus - 1]?.message.id ?? this.#floor;
  }

  /** The needed messages, in order. */
  get entries(): readonly Entry[] {
    return this.#entries.slice(this.#surplus);
  }

  /** Resolves when the entries are on the disk; none at all: when they could be. Rejects when they are not. */
  append(entries: readonly Entry[]): Promise<void> {
    return this.#inTurn(async () => {
      if (!this.#log.sound) {
        await this.#options.restore();
        await this.#renew();
      }
      if (entries.length === 0) return this.#log.probe();
      await this.#log.append(Buffer.concat(entries.map(encodeEntry)));
      for (const entry of entries) this.#entries.push(entry);
      if (this.#entries.length > this.#rewriteAbove) this.#rewrite();
    });
  }

  async close(): Promise<void> {
    await this.#draft?.catch(() => undefined);
    await this.#inTurn(() => this.#log.close());
  }

  /** How many remembered entries are older than what is needed. */
  get #surplus(): number {
    return Math.max(0, this.#entries.length - this.#options.keep);
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(task);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /** Begins to write the file anew, unless that has begun. The old one stays until the new one is whole. */
  #rewrite(): void {
    if (this.#draft) return;
    const draft = this.#begin();
    this.#draft = draft;
    draft
      .then(() => this.#inTurn(() => this.#renew()))
      .catch((error) => {
        if (this.#draft === draft) this.#draft = undefined;
        this.#rewriteAbove = this.#entries.length + this.#options.keep;
        this.#options.warn(`${this.#options.path}: not rewritten, and growing on: ${error.message}`);
      });
  }

  /** Puts a new file, with what is needed, in place of the old one. In turn only. */
  async #renew(): Promise<void> {
    this.#draft ??= this.#begin();
    try {
      const { file, floor, from, to } = await this.#draft;
      await this.#log.adopt(file, Buffer.concat(this.#entries.slice(to).map(encodeEntry)));
      this.#floor = floor;
      this.#entries = this.#entries.slice(from);
      this.#rewriteAbove = 2 * this.#options.keep;
    } finally {
      this.#draft = undefined;
    }
  }

  async #begin(): Promise<Draft> {
    const { floor, entries } = this;
    const [from, to] = [this.#surplus, this.#entries.length];
    return { file: await this.#log.draft(encode(floor, entries)), floor, from, to };
  }
}

function* encode(floor: Id, entries: readonly Entry[]): Generator<Buffer> {
  yield encodeHead(floor);
  for (let i = 0; i < entries.length; i += CHUNK) {
    yield Buffer.concat(entries.slice(i, i + CHUNK).map(encodeEntry));
  }
}

/** Says what is wrong with a file; if it is more than a torn line, the file is set aside before it is mended. */
async function report(
  { path, warn }: JournalOptions,
  { faults, torn }: Reading,
  size: number,
): Promise<void> {
  for (const { at, what } of faults) warn(`${path}: ${what} at byte ${at}`);
  if (torn !== undefined) {
    warn(
      `${path}: the last line was not written to its end; ${size - torn} bytes at byte ${torn} are cut off`,
    );
  }
  if (faults.length === 0 || size === 0) return;
  const aside = `${path}.damaged-${Date.now()}`;
  // A second name costs no room on the disk, but not every file system has it.
  await link(path, aside).catch(() => copyFile(path, aside));
  warn(`${path}: what could be read is kept; the file as it was is ${aside}`);
}
