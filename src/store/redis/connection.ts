/**
 * A connection to Redis. It has two sockets: one for commands, and one for blocking reads, which would delay commands. When
 * one of them is lost, both are closed.
 */
import { type Id, isId, parseId } from "../../feed/id.js";
import type { Message, Snapshot } from "../store.js";
import { type Entry, KEYS, PRELUDE, SCRIPTS, type Script } from "./scripts.js";

/** How long it may take to connect. */
export const TIMEOUT_MS = 2_500;
/** How long Redis has to begin with a script. */
export const DEADLINE_MS = TIMEOUT_MS - 500;
/** How long a read blocks. It ends then, so it also shows that Redis is alive. */
const BLOCK_MS = 1_000;
/** After this time without data, a socket counts as lost. A reply may take this long. */
const IDLE_MS = BLOCK_MS + TIMEOUT_MS;

/** Makes a client of Redis, an optional peer dependency. Rejects with what to do if it is not installed. */
async function makeClient(url: string) {
  const { createClient } = await import("redis").catch((cause: unknown) => {
    throw new Error("Redis needs its client, which is not installed; run: npm install redis", { cause });
  });
  // It neither queues nor reconnects, because a command that is late must not be sent.
  const socket = { connectTimeout: TIMEOUT_MS, socketTimeout: IDLE_MS, reconnectStrategy: false } as const;
  // The notices of Redis Enterprise are off: to ask for them, the client looks up the host, and that fails for IPv6.
  return createClient({ url, socket, disableOfflineQueue: true, maintNotifications: "disabled" });
}

type Client = Awaited<ReturnType<typeof makeClient>>;

export class Connection {
  /** Why it was closed; undefined while it is open. The client tells later commands only that it is closed. */
  closed: unknown;
  /** Redis' clock, as milliseconds to add to `performance.now()`. Before the first reply, scripts have no deadline. */
  #offset = Number.MAX_SAFE_INTEGER;
  readonly #commands: Client;
  readonly #reader: Client;
  readonly #keys: string[];

  /** Connects. Rejects when that fails or takes too long. The names of all keys begin with `prefix`. */
  static async open(url: string, prefix: string): Promise<Connection> {
    const connection = new Connection(await makeClient(url), prefix);
    await connection.#answer(Promise.all([connection.#commands.connect(), connection.#reader.connect()]));
    return connection;
  }

  private constructor(client: Client, prefix: string) {
    [this.#commands, this.#reader] = [client, client.duplicate()];
    for (const one of [this.#commands, this.#reader]) one.on("error", (error) => this.close(error));
    this.#keys = KEYS.map((key) => `${prefix}:${key}`);
  }

  /**
   * Runs a script. Rejects, and closes the connection, when Redis refuses it or does not begin with it in time; then it has
   * not run. Rejects also when the connection is lost; then it may have run.
   */
  async run(script: Script, args: readonly unknown[]): Promise<string[]> {
    const deadline = Math.floor(performance.now() + DEADLINE_MS + this.#offset);
    const call = { keys: this.#keys, arguments: [deadline, ...args].map(String) };
    const reply: unknown = await this.#answer(this.#commands.eval(PRELUDE + SCRIPTS[script], call));
    if (!Array.isArray(reply)) throw this.close(new Error("Redis was too slow"));
    const [now, ...results] = reply.map(String);
    this.#offset = Number(now) - performance.now();
    return results;
  }

  /** Reads the newest messages. Rejects if Redis loses its data at this moment. */
  async load(keep: number): Promise<Snapshot> {
    const [key = ""] = this.#keys;
    const newest = await this.#answer(this.#reader.xRevRange(key, "+", "-", { COUNT: keep }));
    const entries = toEntries(newest).reverse();
    const messages = entries.filter(({ fields }) => fields.user !== undefined);
    const lastPrunedId = toId(messages[0]?.fields.prev ?? entries.at(-1)?.id);
    return { lastPrunedId, messages: messages.map(toMessage) };
  }

  /** Reads what comes after these ids of messages and changes; nothing if nothing comes within `BLOCK_MS`. */
  async read(...after: [message: Id, change: Id]): Promise<[messages: Entry[], changes: Entry[]]> {
    const streams = after.map((id, n) => ({ key: this.#keys[n] ?? "", id }));
    const read = await this.#answer(this.#reader.xRead(streams, { BLOCK: BLOCK_MS }));
    const of = (at: number) => toEntries(read?.find(({ name }) => name === this.#keys[at])?.messages);
    return [of(0), of(1)];
  }

  /** Closes the connection; commands that wait for a reply are rejected. Returns why it was closed the first time. */
  close(reason: unknown): unknown {
    this.closed ??= reason;
    this.#commands.destroy();
    this.#reader.destroy();
    return this.closed;
  }

  /** Waits for a reply. Any error closes the connection: on the next one, another Redis may be the master. */
  #answer<T>(reply: Promise<T>): Promise<T> {
    return reply.catch((error) => Promise.reject(this.close(error)));
  }
}

export function toMessage({ id, fields: { user = "", text = "", kind } }: Entry): Message {
  const [at] = parseId(id);
  return kind === "join" || kind === "leave" ? { id, user, text, at, kind } : { id, user, text, at };
}

function toEntries(raw: readonly { id: string; message: Entry["fields"] }[] | null | undefined): Entry[] {
  return (raw ?? []).map(({ id, message }) => ({ id: toId(id), fields: message }));
}

export function toId(text = ""): Id {
  if (isId(text)) return text;
  throw new Error(`Redis sent the id ${text}`);
}
