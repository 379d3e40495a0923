/**
 * A connection to Redis. It has two sockets: one for commands, and one for blocking reads, which would delay commands. When
 * one of them is lost, both are closed.
 */
import { type Id, isId } from "../../feed/id.js";
import { type CreateClient, loadClient, TIMEOUT_MS } from "./client.js";
import { KEYS, SCRIPTS } from "./scripts.js";

/** How long a read blocks. It ends then, so it also shows that Redis is alive. */
export const BLOCK_MS = 1_000;
/** How many new entries one read returns at most, and how many kept ones. */
const MAX_READ = 1_000;
const MAX_PAGE = 10_000;
/** How long changes are kept. A process that is behind for longer connects again, and then compares everything. */
const CHANGES_MS = 10_000;

/** An entry of a stream. */
export interface Entry {
  readonly id: Id;
  readonly fields: Readonly<Record<string, string>>;
}

export class Connection {
  /** When it was closed or lost, by `performance.now()`. */
  closedAt: number | undefined;
  /** Redis' clock, as milliseconds to add to `performance.now()`. */
  offset = 0;
  /** Why it was lost. The client tells later commands only that it is closed. */
  #cause: unknown;
  readonly #commands: ReturnType<CreateClient>;
  readonly #reader: ReturnType<CreateClient>;
  readonly #keys: string[];
  readonly #messages: string;
  readonly #changes: string;
  /** Closes the connection unless reads return. */
  readonly #watchdog = setTimeout(() => this.close(new Error("no answer")), BLOCK_MS + TIMEOUT_MS);

  /** Connects. Rejects when that fails or takes too long. */
  static async open(url: string, prefix: string): Promise<Connection> {
    const connection = new Connection(await loadClient(), url, prefix);
    await connection.#answer(Promise.all([connection.#commands.connect(), connection.#reader.connect()]));
    return connection;
  }

  private constructor(create: CreateClient, url: string, prefix: string) {
    this.#commands = create(url).on("error", (error) => this.close(error));
    this.#reader = create(url).on("error", (error) => this.close(error));
    this.#keys = KEYS.map((key) => `${prefix}:${key}`);
    [this.#messages = "", this.#changes = ""] = this.#keys;
  }

  /** What Redis' clock shows, in milliseconds since the Unix epoch. */
  get now(): number {
    return Math.floor(performance.now() + this.offset);
  }

  /**
   * Runs a script. Rejects when Redis refuses it, or when the connection is lost; then it may have run nevertheless. Rejects
   * also when the deadline had passed; then it has not run.
   */
  async run(script: keyof typeof SCRIPTS, args: readonly (string | number)[]): Promise<readonly unknown[]> {
    const call = { keys: this.#keys, arguments: args.map(String) };
    const reply: unknown = await this.#answer(this.#commands.eval(SCRIPTS[script], call));
    if (Array.isArray(reply)) return reply;
    throw new Error("Redis was too slow");
  }

  /** Sends a heartbeat. Rejects as `run` does. */
  async publish(fields: Record<string, string>): Promise<void> {
    const threshold = this.now - CHANGES_MS;
    const TRIM = { strategy: "MINID", strategyModifier: "~", threshold } as const;
    await this.#answer(this.#commands.xAdd(this.#changes, "*", fields, { TRIM }));
  }

  /** Reads the newest messages, newest first. */
  async newest(count: number): Promise<readonly Entry[]> {
    const entries: Entry[] = [];
    for (let from = "+", size = -1; size < entries.length; from = `(${entries.at(-1)?.id}`) {
      size = entries.length;
      const COUNT = Math.min(MAX_PAGE, count - size);
      const page = this.#commands.xRevRange(this.#messages, from, "-", { COUNT });
      entries.push(...toEntries(await this.#answer(page)));
      this.#watchdog.refresh();
    }
    return entries;
  }

  /** Reads what comes after these ids of messages and changes; nothing if nothing comes within `BLOCK_MS`. */
  async read(message: Id, change: Id): Promise<{ messages: Entry[]; changes: Entry[] }> {
    const streams = [
      { key: this.#messages, id: message },
      { key: this.#changes, id: change },
    ];
    const read = await this.#answer(this.#reader.xRead(streams, { BLOCK: BLOCK_MS, COUNT: MAX_READ }));
    this.#watchdog.refresh();
    const of = (key: string) => toEntries(read?.find(({ name }) => name === key)?.messages);
    return { messages: of(this.#messages), changes: of(this.#changes) };
  }

  /** Closes the connection; commands that wait for an answer are rejected. */
  close(cause?: unknown): void {
    if (this.closedAt !== undefined) return;
    this.closedAt = performance.now();
    this.#cause = cause;
    clearTimeout(this.#watchdog);
    this.#commands.destroy();
    this.#reader.destroy();
  }

  async #answer<T>(reply: Promise<T>): Promise<T> {
    try {
      return await reply;
    } catch (error) {
      // A replica, or a Redis that starts: another one may be the master by now.
      if (error instanceof Error && /^(READONLY|LOADING|MASTERDOWN)/.test(error.message)) this.close(error);
      throw this.#cause ?? error;
    }
  }
}

/** Returns the text as an id. Throws if it is none. */
export function toId(text: string | undefined): Id {
  if (text !== undefined && isId(text)) return text;
  throw new Error(`Redis sent the id ${text}`);
}

function toEntries(raw: readonly { id: string; message: Entry["fields"] }[] | null | undefined): Entry[] {
  return (raw ?? []).map(({ id, message }) => ({ id: toId(id), fields: message }));
}
