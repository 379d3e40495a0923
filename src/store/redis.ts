/**
 * The store for several processes: the messages are a stream of Redis. Every process reads all of them in its order, so a
 * cursor means the same on each. Without Redis, posts are refused and polls stay held.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { compareIds, type Id } from "../feed/id.js";
import type { Cluster } from "./cluster.js";
import { messageOf, Status } from "./options.js";
import { loadClient, TIMEOUT_MS } from "./redis/client.js";
import { RedisCluster } from "./redis/cluster.js";
import { Connection, DEADLINE_MS, isMessage, toId, toMessage } from "./redis/connection.js";
import { parseUrl, type RedisStoreOptions } from "./redis/url.js";
import type { Message, NewMessage, Receive, Reset, Snapshot, Store } from "./store.js";

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
  readonly #status: Status;
  #receive: Receive = () => {};
  #reset: Reset = () => {};
  #keep = 0;
  #secrets: readonly [Buffer, ...Buffer[]] | undefined;
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
  readonly #cluster = new RedisCluster(
    () => this.#current,
    (error) => this.#closing.signal.aborted || this.#status.failed(error),
  );
  /** Not typed as the class: without Redis, the types of its client are missing too. */
  readonly cluster: Cluster = this.#cluster;

  /** Throws a `RangeError` or a `TypeError` that names the wrong option. */
  constructor({ url, ...others }: RedisStoreOptions) {
    this.#url = url;
    this.#place = parseUrl(url).place;
    this.#status = new Status(others, `Redis at ${this.#place}`);
  }

  get writable(): boolean {
    return !this.#status.failure;
  }

  /** The secrets of session cookies, the same on all processes. Undefined before `open`. */
  get secrets(): readonly [Buffer, ...Buffer[]] | undefined {
    return this.#secrets;
  }

  async open(receive: Receive, reset: Reset, backlog = 1000): Promise<Snapshot> {
    await loadClient();
    this.#keep = this.#status.keepFor(backlog);
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
    this.#closing.abort();
    this.#connection?.close();
    await this.#running;
  }

  async #append({ user, text, kind, key = randomUUID() }: NewMessage): Promise<Message> {
    const until = performance.now() + DEADLINE_MS;
    for (let connection = await this.#ready(until); connection; connection = await this.#ready(until)) {
      try {
        const args = [user, text, kind ?? "", `${user}\n${key}`];
        const [id, keptText = "", keptKind = ""] = await connection.run("append", args, until);
        const message = toMessage({ id: toId(id), fields: { user, text: keptText, kind: keptKind } });
        // Every process receives the message from the stream, this one too.
        while (compareIds(message.id, this.#lastId) > 0 && connection.closedAt === undefined)
          await this.#reading?.catch(() => {});
        return message;
      } catch (error) {
        // Refused, and not lost with the connection: another try would fail too.
        if (connection.closedAt === undefined) throw this.#status.failed(error);
      }
    }
    throw this.#status.failed(new Error("no connection to Redis"));
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
        if (!signal.aborted) this.#status.failed(error);
      }
      await delay(RETRY_MS * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => {});
      connection = signal.aborted ? undefined : await this.#connect().catch(() => undefined);
    }
    connection?.close();
  }

  async #connect(): Promise<Connection> {
    const connection = await Connection.open(this.#url);
    // If this fails, the connection is not used, and it is closed because nothing is read from it.
    const now = await this.#beat(connection);
    // What was published before this process started is of no use. After a failover the clock may be another one.
    if (this.#lastChange === "0-0" || compareIds(this.#lastChange, now) > 0) this.#lastChange = now;
    return connection;
  }

  /** Reads the newest messages, and continues after them. */
  async #load(connection: Connection): Promise<Snapshot> {
    const snapshot = await connection.load(this.#keep);
    this.#lastId = snapshot.messages.at(-1)?.id ?? snapshot.lastPrunedId;
    return snapshot;
  }

  /** Reads the streams and sends heartbeats for as long as the connection lasts. */
  async #use(connection: Connection): Promise<never> {
    void this.#sendBeats(connection);
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
        this.#cluster.resume();
      }
    }
  }

  /** Sends heartbeats, one after the other. */
  async #sendBeats(connection: Connection): Promise<void> {
    while (connection.closedAt === undefined) {
      await this.#beat(connection).catch(
        (error: unknown) => connection.closedAt === undefined && this.#status.failed(error),
      );
      await delay(BEAT_MS, undefined, { ref: false });
    }
  }

  /**
   * Compares this process with Redis, sends a heartbeat, and goes on after an outage. Returns an id before all later changes.
   * Rejects if Redis is full or follows another one.
   */
  async #beat(connection: Connection): Promise<Id> {
    const fresh = randomBytes(32);
    const secrets = [fresh, ...(this.#secrets ?? [])].map((secret) => secret.toString("hex"));
    const [now, ...shared] = await connection.run("sync", [this.#lastId, this.#keep, ...secrets]);
    const [first = fresh, ...others] = shared.map((secret) => Buffer.from(secret, "hex"));
    this.#secrets = [first, ...others];
    const isBack = !this.writable;
    if (isBack) this.#cluster.resume();
    await this.#cluster.beat(connection);
    if (isBack) this.#status.recovered();
    return toId(now);
  }
}
