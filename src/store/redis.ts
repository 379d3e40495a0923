/**
 * The store for several processes: the messages are a stream of Redis. Every process reads all messages from it, in its
 * order, so a cursor means the same on each of them. Without Redis, posts are refused and polls stay held.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { compareIds, type Id, parseId } from "../feed/id.js";
import type { Cluster } from "./cluster.js";
import { DEADLINE_MS, loadClient, messageOf, parseUrl } from "./redis/client.js";
import { RedisCluster } from "./redis/cluster.js";
import { BLOCK_MS, Connection, type Entry, toId } from "./redis/connection.js";
import { Reconnector } from "./redis/reconnector.js";
import type { Message, NewMessage, Receive, Reset, Snapshot, Store } from "./store.js";
import { StoreUnavailable } from "./store.js";
import { safely } from "./warn.js";

/** Options of a Redis store. */
export interface RedisStoreOptions {
  /** `redis://[[user]:password@]host[:port][/database][?prefix=…]`; `rediss://` for TLS. */
  readonly url: string;
  /** How many of the newest messages are kept, at least 1. The same for all processes. */
  readonly keep: number;
  /** How the names of all keys begin: one Redis can carry several rooms. Default: the URL's, or `holdline`. */
  readonly prefix?: string;
  /** Called with one line when Redis is out of reach, and when it is back. The line has no password in it. */
  readonly warn: (line: string) => void;
}

/** Keeps messages in Redis, for several processes that share one room. */
export class RedisStore implements Store {
  /** Not typed as the class: without Redis, the types of its client are missing too. */
  readonly cluster: Cluster;
  readonly #cluster = new RedisCluster(() => this.#reconnector.current);
  readonly #options: RedisStoreOptions;
  readonly #place: string;
  readonly #prefix: string;
  readonly #reconnector = new Reconnector({
    connect: () => this.#connect(),
    use: (connection) => this.#use(connection),
    lost: (error) => this.#failed(error),
  });
  #receive: Receive = () => {};
  #reset: Reset = () => {};
  #secrets: readonly string[] = [];
  #writable = true;
  // The newest ids that were read.
  #lastId: Id = "0-0";
  #lastChange: Id = "0-0";
  /** The read that is under way. */
  #reading: Promise<void> | undefined;
  #appending: Promise<unknown> = Promise.resolve();

  /** Throws a `RangeError` if the URL is not a Redis URL. */
  constructor(options: RedisStoreOptions) {
    this.#options = { ...options, warn: safely(options.warn) };
    const { place, prefix } = parseUrl(options.url);
    this.#place = place;
    this.#prefix = options.prefix ?? prefix;
    this.cluster = this.#cluster;
  }

  get writable(): boolean {
    return this.#writable;
  }

  /** The secrets of session cookies, the same on all processes. Throws before `open`. */
  get secrets(): readonly [Buffer, ...Buffer[]] {
    const [first, ...others] = this.#secrets.map((secret) => Buffer.from(secret, "hex"));
    if (!first) throw new Error("the store is not open");
    return [first, ...others];
  }

  async open(receive: Receive, reset: Reset): Promise<Snapshot> {
    await loadClient();
    try {
      const connection = await this.#connect();
      const snapshot = await this.#load(connection);
      this.#receive = receive;
      this.#reset = reset;
      this.#reconnector.begin(connection);
      return snapshot;
    } catch (error) {
      const advice = "start it, or correct the URL";
      throw new Error(`cannot keep messages in Redis at ${this.#place}: ${messageOf(error)}; ${advice}`);
    }
  }

  append(message: NewMessage): Promise<Message> {
    const appended = this.#append(message);
    this.#appending = Promise.allSettled([this.#appending, appended]);
    return appended;
  }

  async close(): Promise<void> {
    await this.#appending;
    await this.#cluster.close();
    await this.#reconnector.close();
  }

  async #append({ user, text, kind, key = randomUUID() }: NewMessage): Promise<Message> {
    const until = performance.now() + DEADLINE_MS;
    const next = () => this.#reconnector.ready(until);
    for (let connection = await next(); connection; connection = await next()) {
      const deadline = Math.floor(until + connection.offset);
      try {
        const args = [deadline, this.#options.keep, user, text, kind ?? "", `${user}\n${key}`];
        const [id, keptText = "", keptKind = ""] = (await connection.run("append", args)).map(String);
        const message = toMessage({ id: toId(id), fields: { user, text: keptText, kind: keptKind } });
        // Every process receives the message from the stream, this one too.
        while (compareIds(message.id, this.#lastId) > 0 && connection.closedAt === undefined)
          await this.#reading?.catch(() => {});
        return message;
      } catch (error) {
        // Refused, and not lost with the connection: another try would fail too.
        if (connection.closedAt === undefined) throw this.#failed(error);
      }
    }
    throw new StoreUnavailable(new Error("no connection to Redis"));
  }

  async #connect(): Promise<Connection> {
    const connection = await Connection.open(this.#options.url, this.#prefix);
    // If these fail, the connection is not used, and its watchdog closes it.
    await this.#sync(connection);
    await this.#cluster.resume(connection);
    return connection;
  }

  /** Compares the clock, the newest ids and the secrets with those of Redis. */
  async #sync(connection: Connection): Promise<void> {
    const fresh = randomBytes(32).toString("hex");
    const reply = await connection.run("sync", [this.#lastId, this.#lastChange, fresh, ...this.#secrets]);
    const [now, , lastChange, ...secrets] = reply.map(String);
    connection.offset = Number(now) - performance.now();
    this.#secrets = secrets;
    // What other processes published before this one started is of no interest.
    if (this.#lastChange === "0-0") this.#lastChange = toId(lastChange);
  }

  /** Reads the newest messages, and continues after them. */
  async #load(connection: Connection): Promise<Snapshot> {
    const entries = await connection.newest(this.#options.keep);
    const oldest = entries.at(-1);
    this.#lastId = entries[0]?.id ?? this.#lastId;
    const messages = entries.filter(isMessage).map(toMessage).reverse();
    if (!oldest || !isMessage(oldest)) return { lastPrunedId: oldest?.id ?? this.#lastId, messages };
    return { lastPrunedId: toId(oldest.fields.prev), messages };
  }

  /** Reads the streams and sends heartbeats for as long as the connection lasts. */
  async #use(connection: Connection): Promise<never> {
    for (let beatAt = Number.NEGATIVE_INFINITY; ; ) {
      if (performance.now() - beatAt >= BLOCK_MS / 2) {
        beatAt = performance.now();
        void this.#beat(connection);
      }
      this.#reading = this.#read(connection);
      await this.#reading;
    }
  }

  async #read(connection: Connection): Promise<void> {
    const { messages, changes } = await connection.read(this.#lastId, this.#lastChange);
    this.#lastChange = changes.at(-1)?.id ?? this.#lastChange;
    this.#cluster.apply(changes);
    for (const entry of messages) {
      if (compareIds(entry.id, this.#lastId) <= 0) continue;
      if (entry.fields.prev === this.#lastId) {
        this.#lastId = entry.id;
        if (isMessage(entry)) this.#receive(toMessage(entry));
      } else {
        // Entries are missing. Redis may have lost leases, too.
        this.#reset(await this.#load(connection));
        await this.#cluster.resume(connection);
      }
    }
  }

  /** Sends a heartbeat, which also shows whether Redis takes writes: it may be full, or follow another one. */
  async #beat(connection: Connection): Promise<void> {
    try {
      await this.#sync(connection);
      await this.#cluster.beat(connection);
      if (!this.#writable) this.#options.warn(`Redis at ${this.#place}: messages are kept again`);
      this.#writable = true;
    } catch (error) {
      if (connection.closedAt === undefined) this.#failed(error);
    }
  }

  #failed(error: unknown): StoreUnavailable {
    const line = `Redis at ${this.#place}: messages cannot be kept, posts are refused: ${messageOf(error)}`;
    if (this.#writable) this.#options.warn(line);
    this.#writable = false;
    return new StoreUnavailable(error);
  }
}

/** Whether an entry is a message, and not a mark. */
function isMessage({ fields }: Entry): boolean {
  return fields.user !== undefined;
}

function toMessage({ id, fields: { user = "", text = "", kind } }: Entry): Message {
  const [at] = parseId(id);
  return kind === "join" || kind === "leave" ? { id, user, text, at, kind } : { id, user, text, at };
}
