/**
 * A connection to Redis. It is two: one for commands, and one for blocking reads, which would delay a command behind them.
 * When one is lost, so is the other, and a new `Connection` takes their place.
 */
import type { Id } from "../../feed/id.js";
import { type CreateClient, TIMEOUT_MS } from "./client.js";
import { KEYS, SCRIPTS, type Script } from "./scripts.js";

type Client = ReturnType<CreateClient>;

/** How long a read blocks. It ends then, so it also tells whether Redis is alive. */
const BLOCK_MS = 1_000;
/** How many entries are read at once: new ones, and those that are there at the start. */
const MAX_READ = 1_000;
const PAGE = 10_000;

/** An entry of a stream. */
export interface Entry {
  readonly id: string;
  readonly message: Readonly<Record<string, string>>;
}

/** The properties of a stream. */
export type Stream = Awaited<ReturnType<Client["xInfoStream"]>>;

export class Connection {
  /** Redis' clock, as milliseconds to add to `performance.now()`. Never ahead of it. */
  #offset = 0;
  #closed = false;
  // Why it was lost: the client only says that it was.
  #cause: unknown;
  readonly #commands: Client;
  readonly #reader: Client;
  readonly #prefix: string;
  readonly #keys: string[];
  readonly #shas = new Map<Script, string>();

  /** Connects. Rejects when that fails or takes too long. */
  static async open(create: CreateClient, url: string, prefix: string): Promise<Connection> {
    const connection = new Connection(create, url, prefix);
    try {
      await within(TIMEOUT_MS, connection.#connect());
      return connection;
    } catch (error) {
      connection.close();
      throw connection.#cause ?? error;
    }
  }

  private constructor(create: CreateClient, url: string, prefix: string) {
    this.#commands = create(url);
    this.#reader = create(url);
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

  /** Returns the members of a process: names by their keys. */
  async members(process: string): Promise<Readonly<Record<string, string>>> {
    return this.#answered(this.#commands.hGetAll(`${this.#prefix}:members:${process}`));
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
    await this.#answered(this.#commands.set(`${this.#prefix}:probe`, "", { PX: BLOCK_MS }));
  }

  /** What comes after these ids in the two streams; nothing when nothing has come for a second. */
  async read(
    messages: Id,
    changes: string,
  ): Promise<{ messages: readonly Entry[]; changes: readonly Entry[] }> {
    const streams = [
      { key: this.key("messages"), id: messages },
      { key: this.key("changes"), id: changes },
    ];
    const read = await this.#answered(
      this.#reader.xRead(streams, { BLOCK: BLOCK_MS, COUNT: MAX_READ }),
      BLOCK_MS + TIMEOUT_MS,
    );
    const of = (name: string) => read?.find((stream) => stream.name === name)?.messages ?? [];
    return { messages: of(this.key("messages")), changes: of(this.key("changes")) };
  }

  /** Whether it was closed or lost. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Closes the connection; commands that wait for an answer are rejected. */
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
  async #answered<T>(reply: Promise<T>, timeoutMs = TIMEOUT_MS): Promise<T> {
    try {
      return await within(timeoutMs, reply);
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
