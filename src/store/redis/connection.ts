/**
 * A connection to Redis. It has two sockets: one for commands, and one for blocking reads, which would delay commands. When
 * one of them is lost, both are closed.
 */
import { type Id, isId, parseId } from "../../feed/id.js";
import type { Message, Snapshot } from "../store.js";
import { type Client, loadClient, TIMEOUT_MS } from "./client.js";
import { KEYS, type Script, textOf } from "./scripts.js";
import { parseUrl } from "./url.js";

/** How long Redis has to begin with a command. The reply needs the rest of the time. */
export const DEADLINE_MS = TIMEOUT_MS - 500;
/** How long a read blocks. It ends then, so it also shows that Redis is alive. */
const BLOCK_MS = 1_000;
/** How many entries one read returns at most. */
const MAX_READ = 1_000;
/** How many changes are kept: those of many minutes, far more than any process is behind. */
const MAX_CHANGES = 100_000;

/** An entry of a stream. */
export interface Entry {
  readonly id: Id;
  readonly fields: Readonly<Record<string, string>>;
}

export class Connection {
  /** When it was closed or lost, by `performance.now()`. */
  closedAt: number | undefined;
  /** Redis' clock, as milliseconds to add to `performance.now()`. */
  #offset = 0;
  /** Why it was lost. The client tells later commands only that it is closed. */
  #cause: unknown;
  readonly #commands: Client;
  readonly #reader: Client;
  readonly #keys: string[];
  readonly #messages: string;
  readonly #changes: string;

  /** Connects. Rejects when that fails or takes too long. */
  static async open(url: string): Promise<Connection> {
    const create = await loadClient();
    // Only reads show whether Redis is alive: the other socket is busy as long as there are posts.
    const reader = create(url, BLOCK_MS + TIMEOUT_MS);
    const connection = new Connection(create(url), reader, parseUrl(url).prefix);
    await connection.#answer(Promise.all([connection.#commands.connect(), connection.#reader.connect()]));
    return connection;
  }

  private constructor(commands: Client, reader: Client, prefix: string) {
    this.#commands = commands.on("error", (error) => this.close(error));
    this.#reader = reader.on("error", (error) => this.close(error));
    this.#keys = KEYS.map((key) => `${prefix}:${key}`);
    [this.#messages = "", this.#changes = ""] = this.#keys;
  }

  /**
   * Runs a script. Rejects when Redis refuses it, or when the connection is lost; then it may have run nevertheless. Rejects
   * also when the deadline had passed; then it has not run.
   * @param until the deadline, by `performance.now()`; default: none
   */
  async run(script: Script, args: readonly unknown[], until = Number.MAX_SAFE_INTEGER) {
    const call = { keys: this.#keys, arguments: [Math.floor(until + this.#offset), ...args].map(String) };
    const reply: unknown = await this.#answer(this.#commands.eval(textOf(script), call));
    if (!Array.isArray(reply)) throw new Error("Redis was too slow");
    const [now, ...results] = reply.map(String);
    this.#offset = Number(now) - performance.now();
    return results;
  }

  /** Publishes changes to all processes. Rejects as `run` does. */
  async publish(fields: Record<string, string>): Promise<void> {
    const TRIM = { strategy: "MAXLEN", strategyModifier: "~", threshold: MAX_CHANGES } as const;
    await this.#answer(this.#commands.xAdd(this.#changes, "*", fields, { TRIM }));
  }

  /** Reads the newest messages. Rejects if Redis loses its data at this moment. */
  async load(keep: number): Promise<Snapshot> {
    const newest = await this.#answer(this.#reader.xRevRange(this.#messages, "+", "-", { COUNT: keep }));
    const entries = toEntries(newest).reverse();
    const [oldest] = entries;
    const lastPrunedId = toId(oldest && isMessage(oldest) ? oldest.fields.prev : oldest?.id);
    return { lastPrunedId, messages: entries.filter(isMessage).map(toMessage) };
  }

  /** Reads what comes after these ids of messages and changes; nothing if nothing comes within `BLOCK_MS`. */
  async read(message: Id, change: Id): Promise<{ messages: Entry[]; changes: Entry[] }> {
    const streams = [
      { key: this.#messages, id: message },
      { key: this.#changes, id: change },
    ];
    const read = await this.#answer(this.#reader.xRead(streams, { BLOCK: BLOCK_MS, COUNT: MAX_READ }));
    const of = (key: string) => toEntries(read?.find(({ name }) => name === key)?.messages);
    return { messages: of(this.#messages), changes: of(this.#changes) };
  }

  /** Closes the connection; commands that wait for an answer are rejected. */
  close(cause?: unknown): void {
    if (this.closedAt !== undefined) return;
    this.closedAt = performance.now();
    this.#cause = cause;
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

export function toId(text: string | undefined): Id {
  if (text !== undefined && isId(text)) return text;
  throw new Error(`Redis sent the id ${text}`);
}

/** Returns whether an entry is a message, and not a mark. */
export function isMessage({ fields }: Entry): boolean {
  return fields.user !== undefined;
}

export function toMessage({ id, fields: { user = "", text = "", kind } }: Entry): Message {
  const [at] = parseId(id);
  return kind === "join" || kind === "leave" ? { id, user, text, at, kind } : { id, user, text, at };
}

function toEntries(raw: readonly { id: string; message: Entry["fields"] }[] | null | undefined): Entry[] {
  return (raw ?? []).map(({ id, message }) => ({ id: toId(id), fields: message }));
}
