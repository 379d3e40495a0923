/**
 * The store for several processes: the messages are a stream of Redis. Every process reads all of them in its order, so a
 * cursor means the same on each. Without Redis, posts are refused and polls stay held.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { compareIds, type Id } from "../feed/id.js";
import { DurableStore, type StoreOptions } from "./durable.js";
import { RedisCluster } from "./redis/cluster.js";
import { Connection, DEADLINE_MS, toId, toMessage } from "./redis/connection.js";
import type { Script } from "./redis/scripts.js";
import type { Message, NewMessage, Receive, Reset, Snapshot, Store } from "./store.js";

/** The time between two heartbeats, and the longest pause before a new try to connect. */
const BEAT_MS = 500;
/** How often a post tries again, after its connection was lost. */
const RETRY_MS = 20;

/** Options of a Redis store. */
export interface RedisStoreOptions extends StoreOptions {
  /**
   * `redis://[[user]:password@]host[:port][/db][?prefix=…]`; `rediss://` for TLS. The names of all keys begin with the
   * prefix, so one Redis can carry several rooms. Default: port 6379, database 0, prefix `holdline`.
   */
  readonly url: string;
}

/** Keeps messages in Redis, for several processes that share one room. All of them need the same `backlog` or `keep`. */
export class RedisStore extends DurableStore implements Store {
  /** The secrets of session cookies, the same on all processes. Undefined before `open`. */
  secrets: readonly [string, ...string[]] | undefined;
  /** Opens a connection. */
  readonly #dial: () => Promise<Connection>;
  /** The newest connection, which may be lost. */
  #connection: Connection | undefined;
  #isClosed = false;
  // The newest ids that were read.
  #lastId: Id = "0-0";
  #lastChange: Id = "0-0";
  /** The read that is under way. */
  #reading: Promise<void> | undefined;
  readonly cluster = new RedisCluster((script, args) => this.#run(script, args));

  /** Throws a `RangeError` or a `TypeError` that names the wrong option. */
  constructor({ url, ...others }: RedisStoreOptions) {
    const { protocol, hostname, port, pathname, searchParams } = new URL(URL.canParse(url) ? url : "none:");
    if (!/^rediss?:$/.test(protocol) || hostname === "" || !/^(\/\d*)?$/.test(pathname))
      // The text is not repeated: it may contain a password.
      throw new RangeError("the URL of a Redis is redis://[[user]:password@]host[:port][/db][?prefix=...]");
    super(`Redis at ${hostname}:${port || 6379}`, others);
    this.#dial = () => Connection.open(url, searchParams.get("prefix") ?? "holdline");
  }

  protected async load(receive: Receive, reset: Reset): Promise<Snapshot> {
    const connection = await this.#connect();
    const snapshot = await this.#load(connection);
    // Not before: a store that could not be opened may be opened again.
    this.#connection = connection;
    void this.#follow(connection, receive, reset);
    return snapshot;
  }

  async append({ user, text, kind, key = randomUUID() }: NewMessage): Promise<Message> {
    const args = [user, text, kind ?? "", `${user}\n${key}`];
    // A lost connection is usually replaced soon, so a post waits for the next one. In a long outage it waits for less time.
    const until = performance.now() + (this.writable ? DEADLINE_MS : 2 * BEAT_MS);
    const [id, keptText = "", keptKind = ""] = await this.#run("append", args, until);
    const message = toMessage({ id: toId(id), fields: { user, text: keptText, kind: keptKind } });
    // Every process receives the message from the stream, this one too.
    while (compareIds(message.id, this.#lastId) > 0 && !this.#connection?.closed) await this.#reading;
    return message;
  }

  async close(): Promise<void> {
    if (!this.#connection) return;
    this.#isClosed = true;
    // With a failure set, later ones are not reported.
    this.failure = new Error("the store is closed");
    // Replies come in the order of the scripts, so the appends under way end before this one.
    await this.#sync(this.#connection).catch(() => {});
    this.#connection.close(this.failure);
  }

  /**
   * Runs a script. Rejects with `StoreUnavailable`.
   * @param until tries again until this time, by `performance.now()`. Only for a script that may run twice: one that fails
   * may have run
   */
  async #run(script: Script, args: readonly unknown[], until = 0): Promise<string[]> {
    try {
      if (!this.#connection) throw new Error("the store is not open");
      return await this.#connection.run(script, args);
    } catch (error) {
      if (performance.now() >= until) throw this.failed(error);
      await delay(RETRY_MS);
      return this.#run(script, args, until);
    }
  }

  /** Uses a connection, and when it is lost the next one, until the store is closed. */
  async #follow(connection: Connection, receive: Receive, reset: Reset): Promise<void> {
    while (!this.#isClosed) {
      void this.#sendBeats(connection);
      const onError = (error: unknown) => void this.failed(connection.close(error));
      while (!connection.closed) {
        this.#reading = this.#read(connection, receive, reset).catch(onError);
        await this.#reading;
      }
      // Shorter by up to a half, so that not all processes try at once.
      await delay(BEAT_MS * (0.5 + Math.random() / 2));
      if (!this.#isClosed) this.#connection = connection = await this.#connect().catch(() => connection);
    }
    connection.close(this.failure);
  }

  async #connect(): Promise<Connection> {
    const connection = await this.#dial();
    const now = await this.#sync(connection);
    // What was published before this process started is of no use. After a failover the clock may be another one.
    if (!this.#connection || compareIds(this.#lastChange, now) > 0) this.#lastChange = now;
    // Before the connection is used, because no log-in may come before the renewal.
    if (this.#connection) this.cluster.resume();
    return connection;
  }

  /** Reads the newest messages, and continues after them. */
  async #load(connection: Connection): Promise<Snapshot> {
    const snapshot = await connection.load(this.keep);
    this.#lastId = snapshot.messages.at(-1)?.id ?? snapshot.lastPrunedId;
    return snapshot;
  }

  async #read(connection: Connection, receive: Receive, reset: Reset): Promise<void> {
    const [messages, changes] = await connection.read(this.#lastId, this.#lastChange);
    this.#lastChange = changes.at(-1)?.id ?? this.#lastChange;
    this.cluster.apply(changes);
    for (const entry of messages) {
      if (entry.fields.prev !== this.#lastId) {
        // Entries are missing. Redis may have lost leases, too.
        reset(await this.#load(connection));
        return this.cluster.resume();
      }
      this.#lastId = entry.id;
      if (entry.fields.user !== undefined) receive(toMessage(entry));
    }
  }

  /** Sends heartbeats, one after the other. */
  async #sendBeats(connection: Connection): Promise<void> {
    while (!connection.closed) {
      const sent = this.#sync(connection).then(() => this.cluster.beat());
      // A store that was closed meanwhile stays closed.
      await sent.then(() => this.#isClosed || connection.closed || this.recovered(), this.failed);
      await delay(BEAT_MS, undefined, { ref: false });
    }
  }

  /** Compares this process with Redis. Returns an id before all later changes. Rejects if Redis is a replica or is full. */
  async #sync(connection: Connection): Promise<Id> {
    const fresh = randomBytes(32).toString("hex");
    const args = [this.#lastId, this.keep, fresh, ...(this.secrets ?? [])];
    const [now, first = fresh, ...others] = await connection.run("sync", args);
    this.secrets = [first, ...others];
    return toId(now);
  }
}
