/**
 * The store for several processes: the messages are a stream of Redis. Every process reads all messages from the stream,
 * in its order, so a cursor means the same on each of them. Without Redis, posts are refused and polls stay held.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { compareIds, type Id } from "../feed/id.js";
import type { Cluster } from "./cluster.js";
import {
  type CreateClient,
  loadClient,
  messageOf,
  parseUrl,
  REPLY_MARGIN_MS,
  TIMEOUT_MS,
} from "./redis/client.js";
import { RedisCluster } from "./redis/cluster.js";
import { Connection, type Entry } from "./redis/connection.js";
import { asMessage, idOf, snapshotOf } from "./redis/entries.js";
import { Reconnector } from "./redis/reconnector.js";
import {
  type Message,
  type NewMessage,
  type Receive,
  type Reset,
  type Snapshot,
  type Store,
  StoreUnavailable,
} from "./store.js";
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

export class RedisStore implements Store {
  /** Not typed as the class: without Redis, the types of its client are missing too. */
  readonly cluster: Cluster;
  readonly #cluster: RedisCluster;
  readonly #options: RedisStoreOptions;
  readonly #place: string;
  readonly #prefix: string;
  #receive: Receive = () => {};
  #reset: Reset = () => {};
  #createClient: CreateClient | undefined;
  readonly #connections = new Reconnector({
    connect: () => this.#connect(),
    use: (connection) => this.#use(connection),
    lost: (error) => this.#lost(error),
  });
  #secrets: readonly Buffer[] = [];
  #writable = true;
  /** When the connection was lost; undefined before the first one. */
  #lostAt: number | undefined;
  // How far the stream was read: the id and the number of the newest message.
  #lastId: Id = "0-0";
  #count = 0;
  /** Appends that wait until their message was received. */
  readonly #unreceived: { readonly id: Id; readonly done: () => void }[] = [];
  readonly #appending = new Set<Promise<Message>>();

  /** Throws a `RangeError` if the URL is not a Redis URL. */
  constructor(options: RedisStoreOptions) {
    this.#options = { ...options, warn: safely(options.warn) };
    const { place, prefix } = parseUrl(options.url);
    this.#place = place;
    this.#prefix = options.prefix ?? prefix;
    this.#cluster = new RedisCluster(
      () => this.#connections.current,
      (secrets, signing) => this.#setSecrets(secrets, signing),
    );
    this.cluster = this.#cluster;
  }

  get writable(): boolean {
    return this.#writable;
  }

  /** What session cookies are signed with: the same on all processes. Throws before `open`. */
  get secrets(): readonly [Buffer, ...Buffer[]] {
    const [first, ...others] = this.#secrets;
    if (!first) throw new Error("the store is not open");
    return [first, ...others];
  }

  async open(receive: Receive, reset: Reset = () => {}): Promise<Snapshot> {
    this.#createClient = await loadClient();
    let connection: Connection | undefined;
    try {
      connection = await this.#connect();
      const snapshot = await this.#load(connection);
      this.#receive = receive;
      this.#reset = reset;
      this.#connections.begin(connection);
      return snapshot;
    } catch (error) {
      connection?.close();
      const advice = "start it, or correct the URL";
      throw new Error(`cannot keep messages in Redis at ${this.#place}: ${messageOf(error)}; ${advice}`);
    }
  }

  append(message: NewMessage): Promise<Message> {
    const appended = this.#append(message);
    this.#appending.add(appended);
    const end = () => this.#appending.delete(appended);
    appended.then(end, end);
    return appended;
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#appending);
    await this.#cluster.close();
    await this.#connections.close();
  }

  async #append({ user, text, kind, key = randomUUID() }: NewMessage): Promise<Message> {
    const until = performance.now() + TIMEOUT_MS - REPLY_MARGIN_MS;
    const next = () => this.#connections.ready(until);
    for (let connection = await next(); connection; connection = await next()) {
      const deadline = Math.floor(connection.now + until - performance.now());
      try {
        const args = [deadline, this.#options.keep, user, text, kind ?? "", key];
        const reply = await connection.run("append", args);
        if (!Array.isArray(reply)) throw new Error("Redis was too slow");
        const [id = "", keptText = "", keptKind = ""] = reply.map(String);
        const message = asMessage({ id, message: { user, text: keptText, kind: keptKind } });
        if (!message) throw new Error("Redis returned what is not a message");
        await this.#received(message.id);
        return message;
      } catch (error) {
        // Refused, and not lost with the connection: another try would fail too.
        if (this.#connections.current === connection && !connection.closed) throw this.#failed(error);
      }
    }
    throw new StoreUnavailable(new Error("no connection to Redis"));
  }

  /** Waits until a kept message has come from the stream, or the connection that would bring it is lost. */
  #received(id: Id): Promise<void> | undefined {
    if (compareIds(id, this.#lastId) <= 0 || !this.#connections.current) return undefined;
    return new Promise((done) => this.#unreceived.push({ id, done }));
  }

  /** Connects. After a failover that lost messages, the room is reset to what is still kept. */
  async #connect(): Promise<Connection> {
    if (!this.#createClient) throw new Error("the store is not open");
    const connection = await Connection.open(this.#createClient, this.#options.url, this.#prefix);
    try {
      const known = this.#secrets.map((secret) => secret.toString("hex"));
      const fresh = known[0] ?? randomBytes(32).toString("hex");
      const reply = await connection.run("begin", [this.#lastId, fresh, ...known]);
      const [now, count, changesAt, steps, hasNewest, secrets, signing]: unknown[] = Array.isArray(reply)
        ? reply
        : [];
      this.#setSecrets(Array.isArray(secrets) ? secrets.map(String) : [], String(signing));
      connection.now = Number(now);
      const isLost = this.#lastId !== "0-0" && hasNewest !== 1;
      const lostForMs = this.#lostAt === undefined ? 0 : performance.now() - this.#lostAt;
      await this.#cluster.resume(connection, String(changesAt), Number(steps), isLost ? Infinity : lostForMs);
      if (this.#lastId === "0-0" || isLost) this.#count = Number(count);
      if (isLost) this.#reset(await this.#load(connection));
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Reads the newest messages, and continues after them. */
  async #load(connection: Connection): Promise<Snapshot> {
    const { keep } = this.#options;
    const { entries, about } = await connection.newest(keep + 1);
    const [newest] = entries;
    this.#lastId = idOf(newest?.id ?? about["last-generated-id"]);
    this.#count = Number(newest?.message.n ?? this.#count);
    return snapshotOf(entries, about, keep);
  }

  /** Follows the streams for as long as the connection lasts. */
  async #use(connection: Connection): Promise<never> {
    const { remote } = this.#cluster;
    for (;;) {
      const { messages, changes } = await connection.read(this.#lastId, remote.at);
      remote.apply(changes);
      for (const entry of messages) await this.#apply(connection, entry);
      while (this.#unreceived[0] && compareIds(this.#unreceived[0].id, this.#lastId) <= 0) {
        this.#unreceived.shift()?.done();
      }
      // Redis answers, but it may refuse to write: it is full, or it follows another one.
      if (!this.#writable)
        await connection.probe().then(
          () => this.#works(),
          (error) => this.#failed(error),
        );
    }
  }

  async #apply(connection: Connection, entry: Entry): Promise<void> {
    if (compareIds(idOf(entry.id), this.#lastId) <= 0) return;
    if (Number(entry.message.n) !== this.#count + 1) {
      this.#reset(await this.#load(connection));
      return;
    }
    this.#count++;
    this.#lastId = idOf(entry.id);
    const message = asMessage(entry);
    if (message) this.#receive(message);
  }

  #setSecrets(secrets: readonly string[], signing: string): void {
    const others = secrets.filter((secret) => secret !== signing);
    this.#secrets = [signing, ...others].map((secret) => Buffer.from(secret, "hex"));
  }

  #lost(error: unknown): void {
    this.#lostAt = performance.now();
    for (const { done } of this.#unreceived.splice(0)) done();
    if (!this.#connections.closing) this.#failed(error);
  }

  #failed(error: unknown): StoreUnavailable {
    const { warn } = this.#options;
    const reason = messageOf(error);
    if (this.#writable)
      warn(`Redis at ${this.#place}: messages cannot be kept, posts are refused: ${reason}`);
    this.#writable = false;
    return new StoreUnavailable(error);
  }

  #works(): void {
    this.#options.warn(`Redis at ${this.#place}: messages are kept again`);
    this.#writable = true;
  }
}
