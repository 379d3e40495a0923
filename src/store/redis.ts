/**
 * The store for several processes: the messages are a stream of Redis. Every process reads all of them in its order, so a
 * cursor means the same on each. Without Redis, posts are refused and polls stay held.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { compareIds, type Id } from "../feed/id.js";
import type { Cluster } from "./cluster.js";
import { messageOf, parseOptions } from "./options.js";
import { loadClient, TIMEOUT_MS } from "./redis/client.js";
import { RedisCluster } from "./redis/cluster.js";
import { Connection, DEADLINE_MS, isMessage, toMessage } from "./redis/connection.js";
import { parseUrl, type RedisStoreOptions } from "./redis/url.js";
import type { Message, NewMessage, Receive, Reset, Snapshot, Store } from "./store.js";
import { StoreUnavailable } from "./store.js";

/** The longest pause before a new try to connect; shorter by up to a half, so that not all processes try at once. */
const RETRY_MS = 500;
/** The time between two heartbeats. */
const BEAT_MS = 500;
/** How often posts that wait look for the next connection. */
const POLL_MS = 20;

/** Keeps messages in Redis, for several processes that share one room. All of them need the same `keep`. */
export class RedisStore implements Store {
  readonly #url: string;
  readonly #place: string;
  readonly #options: ReturnType<typeof parseOptions>;
  #receive: Receive = () => {};
  #reset: Reset = () => {};
  #keep = 0;
  #secrets: readonly string[] = [];
  #writable = true;
  /** The newest connection, which may be lost. */
  #connection: Connection | undefined;
  readonly #closing = new AbortController();
  #running: Promise<void> | undefined;
  // The newest ids that were read.
  #lastId: Id = "0-0";
  #lastChange: Id = "0-0";
  /** The read that is under way. */
  #reading: Promise<void> | undefined;
  #appending: Promise<unknown> = Promise.resolve();
  readonly #failed = (error: unknown): StoreUnavailable => {
    const isNew = this.#writable && !this.#closing.signal.aborted;
    if (isNew) this.#options.warn(`messages cannot be kept, posts are refused: ${messageOf(error)}`);
    this.#writable = false;
    return new StoreUnavailable(error);
  };
  readonly #cluster = new RedisCluster(() => this.#current, this.#failed);
  /** Not typed as the class: without Redis, the types of its client are missing too. */
  readonly cluster: Cluster = this.#cluster;

  /** Throws a `RangeError` or a `TypeError` that names the wrong option. */
  constructor({ url, ...others }: RedisStoreOptions) {
    this.#url = url;
    this.#place = parseUrl(url).place;
    this.#options = parseOptions(others, `Redis at ${this.#place}`);
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

  async open(receive: Receive, reset: Reset, backlog = 1000): Promise<Snapshot> {
    await loadClient();
    this.#keep = this.#options.keepFor(backlog);
    try {
      const connection = await this.#connect();
      const snapshot = await this.#load(connection);
      this.#receive = receive;
      this.#reset = reset;
      this.#running = this.#run(connection);
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
    this.#closing.abort();
    this.#connection?.close();
    await this.#running;
  }

  async #append(message: NewMessage): Promise<Message> {
    const { key = randomUUID() } = message;
    const until = performance.now() + DEADLINE_MS;
    for (let connection = await this.#ready(until); connection; connection = await this.#ready(until)) {
      try {
        const kept = await connection.append(message, key, this.#keep, until);
        // Every process receives the message from the stream, this one too.
        while (compareIds(kept.id, this.#lastId) > 0 && connection.closedAt === undefined)
          await this.#reading?.catch(() => {});
        return kept;
      } catch (error) {
        // Refused, and not lost with the connection: another try would fail too.
        if (connection.closedAt === undefined) throw this.#failed(error);
      }
    }
    throw new StoreUnavailable(new Error("no connection to Redis"));
  }

  /** The connection in use; undefined while there is none. */
  get #current(): Connection | undefined {
    return this.#connection?.closedAt === undefined ? this.#connection : undefined;
  }

  /** Returns the connection in use, or, if it was lost just now, the next one that comes before `until`. */
  async #ready(until: number): Promise<Connection | undefined> {
    // An outage that has lasted a while will go on: refuse at once.
    const end = Math.min(until, (this.#connection?.closedAt ?? 0) + TIMEOUT_MS);
    while (!this.#current && performance.now() < end) await delay(POLL_MS);
    return performance.now() < until ? this.#current : undefined;
  }

  /** Uses a connection, and when it is lost the next one, until the store is closed. */
  async #run(connection: Connection | undefined): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      if (connection) {
        this.#connection = connection;
        const error = await this.#use(connection).catch((reason: unknown) => reason);
        connection.close(error);
        this.#failed(error);
      }
      await delay(RETRY_MS * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => {});
      connection = signal.aborted ? undefined : await this.#connect().catch(() => undefined);
    }
    connection?.close();
  }

  async #connect(): Promise<Connection> {
    const connection = await Connection.open(this.#url);
    // If this fails, the connection is not used, and its watchdog closes it.
    await this.#sync(connection);
    // What was published before this process started is of no use. After a failover the clock may be another one.
    const now = `${connection.now}-0` as const;
    if (this.#lastChange === "0-0" || compareIds(this.#lastChange, now) > 0) this.#lastChange = now;
    return connection;
  }

  /** Compares this process with Redis, and resumes after an outage. Rejects if Redis is full or follows another one. */
  async #sync(connection: Connection): Promise<void> {
    this.#secrets = await connection.sync(this.#lastId, this.#secrets);
    if (this.#writable) return;
    await this.#cluster.resume(connection);
    this.#options.warn("messages are kept again");
    this.#writable = true;
  }

  /** Reads the newest messages, and continues after them. */
  async #load(connection: Connection): Promise<Snapshot> {
    const snapshot = await connection.load(this.#keep);
    this.#lastId = snapshot.messages.at(-1)?.id ?? snapshot.lastPrunedId;
    return snapshot;
  }

  /** Reads the streams and sends heartbeats for as long as the connection lasts. */
  async #use(connection: Connection): Promise<never> {
    void this.#beat(connection);
    for (;;) {
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

  /** Sends heartbeats, one after the other. */
  async #beat(connection: Connection): Promise<void> {
    while (connection.closedAt === undefined) {
      await this.#sync(connection)
        .then(() => this.#cluster.beat(connection))
        .catch((error: unknown) => connection.closedAt === undefined && this.#failed(error));
      await delay(BEAT_MS, undefined, { ref: false });
    }
  }
}
