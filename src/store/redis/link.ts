/**
 * One connection to Redis, or rather two: one for commands, and one that follows, since a command behind a blocking read
 * would wait for it. They live and die together; whoever made this makes a new one then.
 */
import type { Id } from "../id.js";
import { type Make, PATIENCE } from "./client.js";
import { KEYS, SCRIPTS, type Script } from "./scripts.js";

type Client = ReturnType<Make>;

/** How long a read waits in Redis, in milliseconds; so it also tells whether Redis is alive. */
const BLOCK = 1_000;
/** So many entries of a stream are read at once: news, and what is there at the start. */
const READ = 1_000;
const PAGE = 10_000;

/** An entry of a stream. */
export interface Entry {
  readonly id: string;
  readonly message: Readonly<Record<string, string>>;
}

/** What a stream tells of itself. */
export type Stream = Awaited<ReturnType<Client["xInfoStream"]>>;

export class Link {
  /** Redis' clock, as milliseconds to add to `performance.now()`. Never ahead of it. */
  #offset = 0;
  #closed = false;
  // Why it was lost: the client itself only says that it was.
  #cause: unknown;
  readonly #commands: Client;
  readonly #reader: Client;
  readonly #prefix: string;
  readonly #keys: string[];
  readonly #shas = new Map<Script, string>();

  /** Connects. Rejects when that fails or takes too long. */
  static async open(make: Make, url: string, prefix: string): Promise<Link> {
    const link = new Link(make, url, prefix);
    try {
      await within(PATIENCE, link.#connect());
      return link;
    } catch (error) {
      link.close();
      throw link.#cause ?? error;
    }
  }

  private constructor(make: Make, url: string, prefix: string) {
    this.#commands = make(url);
    this.#reader = make(url);
    for (const client of [this.#commands, this.#reader]) {
      client.on("error", (error: unknown) => {
        this.#cause ??= error;
        this.close();
      });
    }
    this.#prefix = prefix;
    this.#keys = KEYS.map((key) => this.key(key));
  }

  /** A key of the room by its name in `scripts.ts`. */
  key(name: (typeof KEYS)[number]): string {
    return `${this.#prefix}:${name}`;
  }

  /** Runs a script. Rejects when Redis refuses it or does not answer in time; then it may have run nevertheless. */
  async run(script: Script, args: readonly (string | number)[]): Promise<unknown> {
    const call = { keys: this.#keys, arguments: args.map(String) };
    return this.#answered(this.#commands.evalSha(this.#shas.get(script) ?? "", call));
  }

  /** What Redis' clock shows, in milliseconds. */
  get now(): number {
    return performance.now() + this.#offset;
  }

  /** Sets the clock by what a script has just told. */
  set now(told: number) {
    this.#offset = told - performance.now();
  }

  /** Whose the names are, and who is here. */
  async people(): Promise<readonly [owners: Readonly<Record<string, string>>, here: readonly string[]]> {
    const both = this.#commands.multi().hGetAll(this.key("names")).zRange(this.key("here"), 0, -1);
    return this.#answered(both.execTyped());
  }

  /** The newest messages, newest first, and what the stream tells of itself. */
  async newest(count: number): Promise<{ entries: readonly Entry[]; about: Stream }> {
    const key = this.key("messages");
    const about = await this.#answered(this.#commands.xInfoStream(key));
    const entries: Entry[] = [];
    for (let last = "+"; entries.length < count; last = `(${entries.at(-1)?.id}`) {
      const COUNT = Math.min(PAGE, count - entries.length);
      const page = (await this.#answered(this.#commands.xRevRange(key, last, "-", { COUNT }))) ?? [];
      entries.push(...page);
      if (page.length < COUNT) break;
    }
    return { entries, about };
  }

  /** Whether Redis takes writes. Rejects when it does not. */
  async probe(): Promise<void> {
    await this.#answered(this.#commands.set(`${this.#prefix}:probe`, "", { PX: BLOCK }));
  }

  /** What comes after these ids in the two streams; nothing when nothing has come for a second. */
  async read(messages: Id, doors: string): Promise<{ messages: readonly Entry[]; doors: readonly Entry[] }> {
    const streams = [
      { key: this.key("messages"), id: messages },
      { key: this.key("doors"), id: doors },
    ];
    const read = await this.#answered(this.#reader.xRead(streams, { BLOCK, COUNT: READ }), BLOCK + PATIENCE);
    const of = (name: string) => read?.find((stream) => stream.name === name)?.messages ?? [];
    return { messages: of(this.key("messages")), doors: of(this.key("doors")) };
  }

  /** Whether it was let go, or lost. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Lets go; whatever waits for an answer is rejected. */
  close(): void {
    this.#closed = true;
    this.#commands.destroy();
    this.#reader.destroy();
  }

  async #connect(): Promise<void> {
    await Promise.all([this.#commands.connect(), this.#reader.connect()]);
    for (const [name, text] of Object.entries(SCRIPTS) as [Script, string][]) {
      this.#shas.set(name, await this.#commands.scriptLoad(text));
    }
  }

  /** A command that is not answered would be followed by others that are not: better a new connection. */
  async #answered<T>(reply: Promise<T>, patience = PATIENCE): Promise<T> {
    try {
      return await within(patience, reply);
    } catch (error) {
      if (error instanceof Late || isOutOfPlace(error)) {
        this.#cause ??= error;
        this.close();
      }
      throw this.#cause ?? error;
    }
  }
}

class Late extends Error {}

/** Whether this Redis has lost its scripts or its rank: it was replaced by another, or is being loaded. */
function isOutOfPlace(error: unknown): boolean {
  return error instanceof Error && /^(NOSCRIPT|READONLY|LOADING|MASTERDOWN|UNKILLABLE)/.test(error.message);
}

/** Rejects when something takes longer than `ms`. */
async function within<T>(ms: number, something: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Late(`no answer for ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([something, late]);
  } finally {
    clearTimeout(timer);
  }
}
