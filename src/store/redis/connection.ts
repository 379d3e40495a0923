/**
 * A connection to Redis. It has two sockets: one for commands, and one for blocking reads, which would delay commands. When
 * one of them is lost, both are closed.
 */
import { type Id, isId, parseId } from "../../feed/id.js";
import { parseUrl } from "../options.js";
import type { Message, Snapshot } from "../store.js";
import { type Client, loadClient, TIMEOUT_MS } from "./client.js";
import { KEYS, PRELUDE, SCRIPTS } from "./scripts.js";

/** How long Redis has to begin with a script. The reply needs the rest of the time. */
export const DEADLINE_MS = TIMEOUT_MS - 500;
/** How long a read blocks. It ends then, so it also shows that Redis is alive. */
const BLOCK_MS = 1_000;
/** How many entries one read returns at most. */
const MAX_READ = 1_000;

export type Script = keyof typeof SCRIPTS;

/** An entry of a stream. One of messages without a `user` is a mark. */
export interface Entry {
  readonly id: Id;
  readonly fields: Readonly<Record<string, string>>;
}

export class Connection {
  /** When it was closed or lost, by `performance.now()`. */
  closedAt: number | undefined;
  /** Redis' clock, as milliseconds to add to `performance.now()`. Not known before the first reply. */
  #offset = Number.MAX_SAFE_INTEGER;
  /** Why it was lost. The client tells later commands only that it is closed. */
  #cause: unknown;
  readonly #commands: Client;
  readonly #reader: Client;
  readonly #keys: string[];

  /** Connects. Rejects when that fails or takes too long. */
  static async open(url: string): Promise<Connection> {
    const connection = new Connection(await loadClient(), url);
    await connection.#answer(Promise.all([connection.#commands.connect(), connection.#reader.connect()]));
    return connection;
  }

  private constructor(create: Awaited<ReturnType<typeof loadClient>>, url: string) {
    this.#commands = create(url).on("error", (error) => this.close(error));
    // Only reads show whether Redis is alive: the other socket is busy as long as there are posts.
    this.#reader = create(url, BLOCK_MS + TIMEOUT_MS).on("error", (error) => this.close(error));
    this.#keys = KEYS.map((key) => `${parseUrl(url).prefix}:${key}`);
  }

  /**
   * Runs a script. Rejects when Redis refuses it or does not begin with it in time; then it has not run. Rejects also when the
   * connection is lost; then it may have run.
   */
  async run(script: Script, args: readonly unknown[]): Promise<string[]> {
    const deadline = Math.floor(performance.now() + DEADLINE_MS + this.#offset);
    const call = { keys: this.#keys, arguments: [deadline, ...args].map(String) };
    const reply: unknown = await this.#answer(this.#commands.eval(PRELUDE + SCRIPTS[script], call));
    if (!Array.isArray(reply)) throw new Error("Redis was too slow");
    const [now, ...results] = reply.map(String);
    this.#offset = Number(now) - performance.now();
    return results;
  }

  /** Reads the newest messages. Rejects if Redis loses its data at this moment. */
  async load(keep: number): Promise<Snapshot> {
    const [key = ""] = this.#keys;
    const newest = await this.#answer(this.#reader.xRevRange(key, "+", "-", { COUNT: keep }));
    const entries = toEntries(newest).reverse();
    const messages = entries.filter(({ fields }) => fields.user !== undefined).map(toMessage);
    const [oldest] = entries;
    const isMark = oldest?.fields.user === undefined;
    return { lastPrunedId: toId(isMark ? oldest?.id : oldest.fields.prev), messages };
  }

  /** Reads what comes after these ids of messages and changes; nothing if nothing comes within `BLOCK_MS`. */
  async read(...after: [message: Id, change: Id]): Promise<[messages: Entry[], changes: Entry[]]> {
    const streams = after.map((id, n) => ({ key: this.#keys[n] ?? "", id }));
    const read = await this.#answer(this.#reader.xRead(streams, { BLOCK: BLOCK_MS, COUNT: MAX_READ }));
    const of = (at: number) => toEntries(read?.find(({ name }) => name === this.#keys[at])?.messages);
    return [of(0), of(1)];
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

export function toMessage({ id, fields: { user = "", text = "", kind } }: Entry): Message {
  const [at] = parseId(id);
  return kind === "join" || kind === "leave" ? { id, user, text, at, kind } : { id, user, text, at };
}

function toEntries(raw: readonly { id: string; message: Entry["fields"] }[] | null | undefined): Entry[] {
  return (raw ?? []).map(({ id, message }) => ({ id: toId(id), fields: message }));
}

export function toId(text: string | undefined): Id {
  if (text !== undefined && isId(text)) return text;
  throw new Error(`Redis sent the id ${text}`);
}
