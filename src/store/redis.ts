/**
 * The store for several processes: messages are in a stream of Redis. Whoever keeps one, all processes read it
 * from the stream, in its order, so a cursor means the same on each of them and any may answer any poll.
 *
 * Without Redis posts are refused, and polls stay held. A post is tried again when its answer was lost, under the same key,
 * so it is not kept twice; and it has a deadline by Redis' clock, so that what lay in the buffers of a Redis that hung is
 * not kept after the poster was told that it failed.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { compareIds, type Id, idBefore } from "./id.js";
import type { Neighbours } from "./neighbours.js";
import { asMessage, idOf, keptOf } from "./redis-entries.js";
import { type Create, type Entry, Link, PATIENCE } from "./redis-link.js";
import { RedisPeople } from "./redis-people.js";
import { type Draft, type Kept, type Message, type Receive, type Store, StoreUnavailable } from "./store.js";

/** A post that Redis has not come to so long before we give up is not done any more, in milliseconds: the answer takes its time. */
const MARGIN = 500;
/** How long after a lost connection the next is tried, in milliseconds; twice as long each time, up to `RETRY_MAX`, less up to a half. */
const RETRY_MIN = 100;
const RETRY_MAX = 2_000;
/** A connection that held so long was a good one, in milliseconds: the next may be tried soon. */
const GOOD = 10_000;

export interface RedisStoreOptions {
  /** `redis://[[user]:password@]host[:port][/database][?prefix=…]`, `rediss://` with TLS. */
  readonly url: string;
  /** How many of the newest messages are kept, at least 1. The same for all processes. */
  readonly keep: number;
  /** What the names of all keys begin with: one Redis can carry several rooms. Default: the URL's, or `holdline`. */
  readonly prefix?: string;
  /** Is told, in one line each, when Redis is out of reach and when it is back. Never of the password. */
  readonly warn: (line: string) => void;
}

export class RedisStore implements Store {
  readonly neighbours: Neighbours;
  readonly #people: RedisPeople;
  readonly #options: RedisStoreOptions;
  readonly #prefix: string;
  readonly #place: string;
  #receive: Receive = () => {};
  #create: Create | undefined;
  /** Undefined while there is no connection. */
  #link: Link | undefined;
  #lostAt = Number.NEGATIVE_INFINITY;
  #following: Promise<void> | undefined;
  readonly #closing = new AbortController();
  #secret: Buffer | undefined;
  #writable = true;
  // How far the stream was read: the id and the number of the newest message.
  #last: Id = "0-0";
  #turn = 0;
  // Appends that wait until their message was received, and those that wait for a new connection.
  #kept: { readonly id: Id; readonly done: () => void }[] = [];
  #unlinked: (() => void)[] = [];
  readonly #appending = new Set<Promise<Message>>();

  /** Throws a `RangeError` when the URL is none of Redis. */
  constructor(options: RedisStoreOptions) {
    this.#options = options;
    const { place, prefix } = parse(options.url);
    this.#prefix = options.prefix ?? prefix;
    this.#place = place;
    this.#people = new RedisPeople(options.keep, () => this.#link);
    this.neighbours = this.#people;
  }

  get writable(): boolean {
    return this.#writable;
  }

  /** What session cookies are signed with; the same on all processes. Throws before `open`. */
  get secrets(): readonly [Buffer] {
    if (!this.#secret) throw new Error("the store is not open");
    return [this.#secret];
  }

  async open(receive: Receive): Promise<Kept> {
    this.#receive = receive;
    this.#create = await load();
    let link: Link | undefined;
    try {
      link = await this.#connect();
      const { entries, about } = await link.newest(this.#options.keep + 1);
      const kept = keptOf(entries, about, this.#options.keep);
      this.#last = idOf(entries[0]?.id ?? about.end);
      this.#turn = Number(entries[0]?.message.n ?? this.#turn);
      this.#link = link;
      this.#following = this.#follow(link);
      return kept;
    } catch (error) {
      link?.close();
      const advice = "start it, or correct the URL";
      throw new Error(`cannot keep messages in Redis at ${this.#place}: ${messageOf(error)}; ${advice}`);
    }
  }

  append(draft: Draft): Promise<Message> {
    const message = this.#append(draft);
    this.#appending.add(message);
    const end = () => this.#appending.delete(message);
    message.then(end, end);
    return message;
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#appending);
    await this.#people.close();
    this.#closing.abort();
    this.#link?.close();
    await this.#following;
  }

  async #append({ user, text, kind, key = randomUUID() }: Draft): Promise<Message> {
    const giveUp = performance.now() + PATIENCE;
    for (let link = await this.#ready(giveUp); link; link = await this.#ready(giveUp)) {
      const deadline = Math.floor(link.now + giveUp - performance.now() - MARGIN);
      try {
        const reply = await link.run("append", [deadline, this.#options.keep, user, text, kind ?? "", key]);
        if (!Array.isArray(reply)) throw new Error("Redis was too slow");
        const [id, saidText, saidKind] = (reply as unknown[]).map(String);
        const message = asMessage({
          id: id ?? "",
          message: { user, text: saidText ?? "", kind: saidKind ?? "" },
        });
        if (!message) throw new Error("Redis gave back what is no message");
        await this.#received(message.id);
        return message;
      } catch (error) {
        // Refused, rather than lost with the connection: to try again would be the same.
        if (this.#link === link && !link.closed) throw this.#failed(error);
      }
    }
    throw new StoreUnavailable(new Error("no connection to Redis"));
  }

  /** The connection, or the next one when this was lost just now, unless it comes too late for a post that is given up then. */
  async #ready(giveUp: number): Promise<Link | undefined> {
    if (this.#link?.closed === false) return this.#link;
    // An outage that has lasted will last: refuse at once.
    if (!this.#link && performance.now() - this.#lostAt > PATIENCE) return undefined;
    const left = giveUp - performance.now() - MARGIN;
    if (left > 0) {
      await Promise.race([new Promise<void>((done) => this.#unlinked.push(done)), delay(left)]);
    }
    return giveUp - performance.now() > MARGIN ? this.#link : undefined;
  }

  /** Waits until a kept message has come from the stream, or the connection that would bring it is lost. */
  #received(id: Id): Promise<void> | undefined {
    if (compareIds(id, this.#last) <= 0 || !this.#link) return undefined;
    return new Promise((done) => this.#kept.push({ id, done }));
  }

  /** Connects, and sees that the room is there and what the processes have told each other. */
  async #connect(): Promise<Link> {
    if (!this.#create) throw new Error("the store is not open");
    const link = await Link.open(this.#create, this.#options.url, this.#prefix);
    try {
      // An empty Redis gets the secret back that it had.
      const secretOfOurs = (this.#secret ?? randomBytes(32)).toString("hex");
      const reply = await link.run("begin", [this.#last, secretOfOurs]);
      const [now, secret, count, heard, steps] = Array.isArray(reply) ? (reply as unknown[]) : [];
      link.now = Number(now);
      this.#secret ??= Buffer.from(String(secret), "hex");
      if (this.#last === "0-0") this.#turn = Number(count);
      await this.#people.meet(link, String(heard), Number(steps));
      return link;
    } catch (error) {
      link.close();
      throw error;
    }
  }

  /** Follows the streams, over as many connections as it takes. */
  async #follow(first: Link): Promise<void> {
    let failures = 0;
    for (let link: Link | undefined = first; link; link = await this.#reconnect(failures)) {
      const since = performance.now();
      this.#link = link;
      for (const done of this.#unlinked.splice(0)) done();
      this.#people.resume();
      try {
        await this.#read(link);
      } catch (error) {
        link.close();
        this.#link = undefined;
        this.#lostAt = performance.now();
        for (const { done } of this.#kept.splice(0)) done();
        if (!this.#closing.signal.aborted) this.#failed(error);
      }
      failures = performance.now() - since < GOOD ? failures + 1 : 0;
    }
  }

  async #read(link: Link): Promise<never> {
    for (;;) {
      const { messages, doors } = await link.read(this.#last, this.#people.heard);
      this.#people.hear(doors);
      for (const entry of messages) this.#hear(entry);
      while (this.#kept[0] && compareIds(this.#kept[0].id, this.#last) <= 0) this.#kept.shift()?.done();
      // Redis answers, but does it also write? (It may be full, or follow another.)
      if (!this.#writable)
        await link.probe().then(
          () => this.#works(),
          (error) => this.#failed(error),
        );
    }
  }

  async #reconnect(failures: number): Promise<Link | undefined> {
    for (let n = failures; ; n++) {
      const wait = Math.min(RETRY_MIN * 2 ** n, RETRY_MAX) * (0.5 + Math.random() / 2);
      await delay(wait, undefined, { signal: this.#closing.signal }).catch(() => undefined);
      if (this.#closing.signal.aborted) return undefined;
      const link = await this.#connect().catch(() => undefined);
      if (link) return link;
    }
  }

  #hear(entry: Entry): void {
    const turn = Number(entry.message.n);
    const message = asMessage(entry);
    this.#last = idOf(entry.id);
    const missed = turn !== this.#turn + 1;
    this.#turn = turn;
    if (message) this.#receive(message, missed ? idBefore(message.id) : undefined);
  }

  #failed(error: unknown): StoreUnavailable {
    if (this.#writable) {
      this.#options.warn(
        `Redis at ${this.#place}: messages cannot be kept, posts are refused: ${messageOf(error)}`,
      );
    }
    this.#writable = false;
    return new StoreUnavailable(error);
  }

  #works(): void {
    if (!this.#writable) this.#options.warn(`Redis at ${this.#place}: messages are kept again`);
    this.#writable = true;
  }
}

/** The client is a peer that only who wants Redis installs. */
async function load(): Promise<Create> {
  try {
    const { createClient } = await import("redis");
    return createClient;
  } catch (error) {
    throw new Error("Redis needs its client, which is not installed; run: npm install redis", {
      cause: error,
    });
  }
}

/** Where a URL leads, for people to read: without the password. */
function parse(url: string): { place: string; prefix: string } {
  if (URL.canParse(url)) {
    const { protocol, hostname, port, pathname, searchParams } = new URL(url);
    if (/^rediss?:$/.test(protocol) && hostname !== "" && /^(\/\d*)?$/.test(pathname)) {
      return { place: `${hostname}:${port || 6379}`, prefix: searchParams.get("prefix") ?? "holdline" };
    }
  }
  // Not what was given: it may have a password in it.
  throw new RangeError("the URL of a Redis is redis://[[user]:password@]host[:port][/database][?prefix=...]");
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Node tries several addresses, and its error then has a code and no words.
  const words = error.message || ("code" in error ? String(error.code) : error.name);
  return words.replace(/\.$/, "");
}
