/**
 * The load: many long-polling clients on bare sockets in one process, for every server the same. Replies are compared
 * with the last few distinct ones before they are parsed, since a broadcast sends thousands the same bytes; so the
 * load costs less than the server, and what it measures is the server.
 *
 * Each message's text begins with its number and the time it was due, so that loss, doubles and order are checked
 * for every client, and latency is measured for every delivery.
 */
import { setTimeout as pause } from "node:timers/promises";
import { type Connection, type Reply, readReply } from "./connection.js";
import { Histogram } from "./histogram.js";

/** What a client sends and understands; one per kind of server. */
export interface Dialect {
  /** The request of a poll. */
  poll(client: Client): string;
  /** What a reply says. */
  read(reply: Reply): Said;
}

export interface Said {
  /** To go on with. */
  readonly cursor: string;
  readonly texts: readonly string[];
  /** What is sent next, if not a poll. */
  readonly next?: (client: Client) => string;
}

interface Parsed extends Said {
  readonly bytes: Buffer;
  readonly numbers: readonly number[];
  /** Whether the numbers follow on one another. */
  readonly isRun: boolean;
  /** When each was due, by `performance.now()` of this process. */
  readonly due: readonly number[];
}

export class Clients {
  readonly dialect: Dialect;
  readonly all: Client[] = [];
  /** What must not happen: bad replies, lost connections. */
  readonly faults: string[] = [];
  readonly latency = new Histogram();
  deliveries = 0;
  replies = 0;
  doubled = 0;
  /** Came after a later one. */
  disordered = 0;
  #target = Number.POSITIVE_INFINITY;
  #behind = 0;
  #arrived: () => void = () => {};
  readonly #recent: Parsed[] = [];

  constructor(dialect: Dialect) {
    this.dialect = dialect;
  }

  add(connection: Connection, ticket: string): void {
    this.all.push(new Client(this, connection, ticket));
  }

  /** Lets all poll. */
  poll(cursor: string): void {
    for (const client of this.all) client.begin(cursor);
  }

  close(): void {
    for (const client of this.all) client.close();
  }

  /** Waits until everybody has the message of this number. @returns whether they do, within so many milliseconds */
  async arrival(number: number, patience: number): Promise<boolean> {
    const arrived = new Promise<void>((resolve) => {
      this.#arrived = resolve;
    });
    this.#target = number;
    this.#behind = this.all.filter(({ last }) => last < number).length;
    if (this.#behind === 0) return true;
    const timer = new AbortController();
    await Promise.race([arrived, pause(patience, undefined, { signal: timer.signal })]);
    timer.abort();
    return this.#behind === 0;
  }

  /** Called when a client's last message goes from one number to another. */
  advanced(from: number, to: number): void {
    if (from < this.#target && to >= this.#target && --this.#behind === 0) this.#arrived();
  }

  /** How many deliveries were passed over by later ones. */
  get lost(): number {
    return this.all.reduce((sum, client) => sum + client.missing.size, 0);
  }

  /** How many deliveries of so many messages to everybody are still to come. */
  outstanding(offered: number): number {
    return this.all.reduce((sum, client) => sum + offered - client.last, 0);
  }

  /** Throws when a message was lost or came twice or late, or a reply or a connection was bad. */
  check(): void {
    const { lost, doubled, disordered, faults } = this;
    if (faults.length > 0) throw new Error(`${faults.length} faults, the first: ${faults[0]}`);
    if (lost + doubled + disordered > 0) {
      throw new Error(`${lost} deliveries lost, ${doubled} doubled, ${disordered} out of order`);
    }
  }

  parse(bytes: Buffer): Parsed {
    const known = this.#recent.find((parsed) => parsed.bytes.equals(bytes));
    if (known) return known;
    const reply = readReply(bytes);
    if (reply.status !== 200) this.faults.push(`answered with ${reply.head}`);
    const said = this.dialect.read(reply);
    const texts = said.texts.filter((text) => /^\d+ /.test(text));
    const numbers = texts.map((text) => Number(text.split(" ", 1)[0]));
    const isRun = numbers.every((number, n) => number === (numbers[0] ?? 0) + n);
    const due = texts.map((text) => Number(text.split(" ", 2)[1]));
    const parsed = { ...said, bytes: Buffer.from(bytes), numbers, isRun, due };
    this.#recent.unshift(parsed);
    this.#recent.length = Math.min(this.#recent.length, 8);
    return parsed;
  }
}

export class Client {
  /** What the server knows it by. */
  readonly ticket: string;
  cursor = "";
  /** How long it asks to be held, where the server lets it, in seconds. */
  wait = 25;
  last = 0;
  /** Numbers that were passed over. */
  readonly missing = new Set<number>();
  readonly #all: Clients;
  readonly #connection: Connection;

  constructor(all: Clients, connection: Connection, ticket: string) {
    this.#all = all;
    this.#connection = connection;
    this.ticket = ticket;
  }

  begin(cursor: string): void {
    this.cursor = cursor;
    this.#connection.onReply = (bytes) => this.#take(this.#all.parse(bytes));
    this.#connection.onEnd = (why) => this.#all.faults.push(why);
    this.#connection.write(this.#all.dialect.poll(this));
  }

  close(): void {
    this.#connection.close();
  }

  #take(parsed: Parsed): void {
    const all = this.#all;
    all.replies++;
    this.cursor = parsed.cursor;
    if (parsed.numbers.length > 0) this.#count(parsed);
    this.#connection.write(parsed.next ? parsed.next(this) : all.dialect.poll(this));
  }

  #count({ numbers, isRun, due }: Parsed): void {
    const all = this.#all;
    const before = this.last;
    if (isRun && numbers[0] === before + 1) this.last += numbers.length;
    else for (const number of numbers) this.#countOne(number);
    const now = performance.now();
    for (const at of due) all.latency.add(now - at);
    all.deliveries += numbers.length;
    all.advanced(before, this.last);
  }

  #countOne(number: number): void {
    if (number > this.last) {
      for (let passed = this.last + 1; passed < number; passed++) this.missing.add(passed);
      this.last = number;
    } else if (this.missing.delete(number)) this.#all.disordered++;
    else this.#all.doubled++;
  }
}
