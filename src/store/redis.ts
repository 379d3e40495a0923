/**
 * The store for several processes: the messages are a stream of Redis. Every process reads all of them in its order, so a
 * cursor means the same on each. Without Redis, posts are refused and polls stay held.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { compareIds, type Id } from "../feed/id.js";
import type { Cluster } from "./cluster.js";
import { DurableStore, messageOf, parseUrl, type RedisStoreOptions } from "./options.js";
import { loadClient, TIMEOUT_MS } from "./redis/client.js";
import { RedisCluster } from "./redis/cluster.js";
import { Connection, DEADLINE_MS, type Script, toId, toMessage } from "./redis/connection.js";
import type { Message, NewMessage, Receive, Reset, Snapshot, Store } from "./store.js";

/** The time between two heartbeats, and the longest pause before a new try to connect. */
const BEAT_MS = 500;
/** How often posts that wait look for the next connection. */
const POLL_MS = 20;

/** Keeps messages in Redis, for several processes that share one room. All of them need the same `backlog` or `keep`. */
export class RedisStore extends DurableStore implements Store {
  /** The secrets of session cookies, the same on all processes. Undefined before `open`. */
  secrets: readonly [Buffer, ...Buffer[]] | undefined;
  readonly #url: string;
  #keep = 0;
  /** The newest connection, which may be lost. */
  #connection: Connection | undefined;
  readonly #closing = new AbortController();
  #running: Promise<void> | undefined;
  #appending: Promise<unknown> = Promise.resolve();
  // The newest ids that were read.
  #lastId: Id = "0-0";
  #lastChange: Id = "0-0";
  /** The read that is under way. */
  #reading: Promise<void> | undefined;
  readonly #cluster = new RedisCluster((script, args) => this.#run(script, args));
  /** Not typed as the class: without Redis, the types of its client are missing too. */
  readonly cluster: Cluster = this.#cluster;

  /** Throws a `RangeError` or a `TypeError` that names the wrong option. */
  constructor({ url, ...others }: RedisStoreOptions) {
    super(`Redis at ${parseUrl(url).place}`, others);
    this.#url = url;
  }

  async open(receive: Receive, reset: Reset, backlog = 1000): Promise<Snapshot> {
    await loadClient();
    this.#keep = this.keepFor(backlog);
    try {
      const connection = await this.#connect();
      const snapshot = await this.#load(connection);
      this.#running = this.#follow(connection, receive, reset);
      return snapshot;
    } catch (error) {
      const reason = `${messageOf(error)}; start it, or correct the URL`;
      throw new Error(`cannot keep messages in ${this.place}: ${reason}`);
    }
  }

  append(message: NewMessage): Promise<Message> {
    const appended = this.#append(message);
    this.#appending = Promise.allSettled([this.#appending, appended]);
    return appended;
  }

  async close(): Promise<void> {
    await this.#appending;
    this.#closing.abort();
    // Set here, it is not reported: later failures are no news.
    this.failure = new Error("the store is closed");
    this.#connection?.close();
    await this.#running;
  }

  async #append({ user, text, kind, key = randomUUID() }: NewMessage): Promise<Message> {
    const args = [user, text, kind ?? "", `${user}\n${key}`];
    const until = performance.now() + DEADLINE_MS;
    const [id, keptText = "", keptKind = ""] = await this.#run("append", args, until);
    const message = toMessage({ id: toId(id), fields: { user, text: keptText, kind: keptKind } });
    // Every process receives the message from the stream, this one too.
    while (compareIds(message.id, this.#lastId) > 0 && this.#connection?.closedAt === undefined)
      await this.#reading;
    return message;
  }

  /**
   * Runs a script. Rejects with `StoreUnavailable`.
   * @param until until when, by `performance.now()`, to try again if the connection was lost just now
   */
  async #run(script: Script, args: readonly unknown[], until = 0): Promise<string[]> {
    const connection = this.#connection;
    try {
      if (!connection) throw new Error("the store is not open");
      return await connection.run(script, args);
    } catch (error) {
      const end = Math.min(until, (connection?.closedAt ?? -Infinity) + TIMEOUT_MS);
      if (performance.now() >= end) throw this.failed(error);
      await delay(POLL_MS);
      return this.#run(script, args, until);
    }
  }

  /** Uses a connection, and when it is lost the next one, until the store is closed. */
  async #follow(connection: Connection, receive: Receive, reset: Reset): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      void this.#sendBeats(connection);
      while (connection.closedAt === undefined) {
        this.#reading = this.#read(connection, receive, reset).catch((error) => {
          connection.close(error);
          this.failed(error);
        });
        await this.#reading;
      }
      // Shorter by up to a half, so that not all processes try at once.
      await delay(BEAT_MS * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => {});
      if (!signal.aborted) connection = await this.#connect().catch(() => connection);
    }
    connection.close();
  }

  async #connect(): Promise<Connection> {
    const connection = await Connection.open(this.#url);
    // If this fails, the connection is not used, and it is closed because nothing is read from it.
    const now = await this.#sync(connection);
    // What was published before this process started is of no use. After a failover the clock may be another one.
    if (this.#lastChange === "0-0" || compareIds(this.#lastChange, now) > 0) this.#lastChange = now;
    this.#connection = connection;
    return connection;
  }

  /** Reads the newest messages, and continues after them. */
  async #load(connection: Connection): Promise<Snapshot> {
    const snapshot = await connection.load(this.#keep);
    this.#lastId = snapshot.messages.at(-1)?.id ?? snapshot.lastPrunedId;
    return snapshot;
  }

  async #read(connection: Connection, receive: Receive, reset: Reset): Promise<void> {
    const [messages, changes] = await connection.read(this.#lastId, this.#lastChange);
    this.#lastChange = changes.at(-1)?.id ?? this.#lastChange;
    this.#cluster.apply(changes);
    for (const entry of messages) {
      if (compareIds(entry.id, this.#lastId) <= 0) continue;
      if (entry.fields.prev === this.#lastId) {
        this.#lastId = entry.id;
        if (entry.fields.user !== undefined) receive(toMessage(entry));
      } else {
        // Entries are missing. Redis may have lost leases, too.
        reset(await this.#load(connection));
        this.#cluster.resume();
      }
    }
  }

  /** Sends heartbeats, one after the other. */
  async #sendBeats(connection: Connection): Promise<void> {
    while (connection.closedAt === undefined) {
      const isBack = !this.writable;
      // First, because no log-in may come before the renewal.
      if (isBack) this.#cluster.resume();
      const sent = this.#sync(connection).then(() => this.#cluster.beat());
      await sent.then(() => isBack && this.recovered(), this.failed);
      await delay(BEAT_MS, undefined, { ref: false });
    }
  }

  /** Compares this process with Redis. Returns an id before all later changes. Rejects if Redis follows another one or is full. */
  async #sync(connection: Connection): Promise<Id> {
    const fresh = randomBytes(32);
    const secrets = [fresh, ...(this.secrets ?? [])].map((secret) => secret.toString("hex"));
    const [now, ...shared] = await connection.run("sync", [this.#lastId, this.#keep, ...secrets]);
    const [first = fresh, ...others] = shared.map((secret) => Buffer.from(secret, "hex"));
    this.secrets = [first, ...others];
    return toId(now);
  }
}
