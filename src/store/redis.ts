/**
 * The store for several processes: messages are in a stream of Redis. Whoever keeps one, all processes read it
 * from the stream, in its order, so a cursor means the same on each of them and any may answer any poll.
 *
 * Without Redis posts are refused, and polls stay held. A post is tried again when its answer was lost, under the same key,
 * so it is not kept twice; and it has a deadline by Redis' clock, so that what lay in the buffers of a Redis that hung is
 * not kept after the poster was told that it failed.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { compareIds, type Id, idBefore } from "./id.js";
import type { Neighbours } from "./neighbours.js";
import { load, MARGIN, type Make, messageOf, PATIENCE, parseUrl } from "./redis/client.js";
import { asMessage, idOf, keptOf } from "./redis/entries.js";
import { type Entry, Link } from "./redis/link.js";
import { Links } from "./redis/links.js";
import { RedisPeople } from "./redis/people.js";
import { type Draft, type Kept, type Message, type Receive, type Store, StoreUnavailable } from "./store.js";

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
  /** Not the class itself: whoever has no Redis has no types of its client either. */
  readonly neighbours: Neighbours;
  readonly #people: RedisPeople;
  readonly #options: RedisStoreOptions;
  readonly #place: string;
  readonly #prefix: string;
  #receive: Receive = () => {};
  #make: Make | undefined;
  readonly #links = new Links({
    connect: () => this.#connect(),
    use: (link) => this.#use(link),
    lost: (error) => this.#lost(error),
  });
  #secret: Buffer | undefined;
  #writable = true;
  // How far the stream was read: the id and the number of the newest message.
  #last: Id = "0-0";
  #turn = 0;
  // Appends that wait until their message was received.
  readonly #kept: { readonly id: Id; readonly done: () => void }[] = [];
  readonly #appending = new Set<Promise<Message>>();

  /** Throws a `RangeError` when the URL is none of Redis. */
  constructor(options: RedisStoreOptions) {
    this.#options = options;
    const { place, prefix } = parseUrl(options.url);
    this.#place = place;
    this.#prefix = options.prefix ?? prefix;
    this.#people = new RedisPeople(options.keep, () => this.#links.current);
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
    this.#make = await load();
    let link: Link | undefined;
    try {
      link = await this.#connect();
      const { entries, about } = await link.newest(this.#options.keep + 1);
      const kept = keptOf(entries, about, this.#options.keep);
      this.#last = idOf(entries[0]?.id ?? about["last-generated-id"]);
      this.#turn = Number(entries[0]?.message.n ?? this.#turn);
      this.#links.begin(link);
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
    await this.#links.close();
  }

  async #append({ user, text, kind, key = randomUUID() }: Draft): Promise<Message> {
    const until = performance.now() + PATIENCE - MARGIN;
    for (let link = await this.#links.ready(until); link; link = await this.#links.ready(until)) {
      const deadline = Math.floor(link.now + until - performance.now());
      try {
        const reply = await link.run("append", [deadline, this.#options.keep, user, text, kind ?? "", key]);
        if (!Array.isArray(reply)) throw new Error("Redis was too slow");
        const [id = "", said = "", what = ""] = (reply as unknown[]).map(String);
        const message = asMessage({ id, message: { user, text: said, kind: what } });
        if (!message) throw new Error("Redis gave back what is no message");
        await this.#received(message.id);
        return message;
      } catch (error) {
        // Refused, rather than lost with the connection: to try again would be the same.
        if (this.#links.current === link && !link.closed) throw this.#failed(error);
      }
    }
    throw new StoreUnavailable(new Error("no connection to Redis"));
  }

  /** Waits until a kept message has come from the stream, or the connection that would bring it is lost. */
  #received(id: Id): Promise<void> | undefined {
    if (compareIds(id, this.#last) <= 0 || !this.#links.current) return undefined;
    return new Promise((done) => this.#kept.push({ id, done }));
  }

  /** Connects, and sees that the room is there and what the processes have told each other. */
  async #connect(): Promise<Link> {
    if (!this.#make) throw new Error("the store is not open");
    const link = await Link.open(this.#make, this.#options.url, this.#prefix);
    try {
      // An empty Redis gets the secret back that it had.
      const secretOfOurs = (this.#secret ?? randomBytes(32)).toString("hex");
      const reply = await link.run("begin", [this.#last, secretOfOurs]);
      const [now, secret, count, heard, steps] = Array.isArray(reply) ? (reply as unknown[]) : [];
      link.now = Number(now);
      this.#secret ??= Buffer.from(String(secret), "hex");
      if (this.#last === "0-0") this.#turn = Number(count);
      await this.#people.hearing.meet(link, String(heard), Number(steps));
      return link;
    } catch (error) {
      link.close();
      throw error;
    }
  }

  /** Follows the streams for as long as the connection holds. */
  async #use(link: Link): Promise<never> {
    const { hearing } = this.#people;
    this.#people.resume();
    for (;;) {
      const { messages, doors } = await link.read(this.#last, hearing.heard);
      hearing.hear(doors);
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

  #hear(entry: Entry): void {
    const turn = Number(entry.message.n);
    const message = asMessage(entry);
    this.#last = idOf(entry.id);
    const missed = turn !== this.#turn + 1;
    this.#turn = turn;
    if (message) this.#receive(message, missed ? idBefore(message.id) : undefined);
  }

  #lost(error: unknown): void {
    for (const { done } of this.#kept.splice(0)) done();
    if (!this.#links.closing) this.#failed(error);
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
    this.#options.warn(`Redis at ${this.#place}: messages are kept again`);
    this.#writable = true;
  }
}
