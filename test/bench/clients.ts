/**
 * The load: many long-polling clients on bare sockets in one process, for every server the same. Replies are compared
 * with the last few distinct ones before they are parsed, since a broadcast sends thousands the same bytes; so the
 * load costs much less than the server, and what it measures is the server.
 *
 * Each message's text begins with its number and the time it was offered, so that loss, doubles and order are checked
 * for every client, and latency is measured for every delivery.
 */
import { connect, type Socket } from "node:net";

/** What a client sends and understands; one per kind of server. */
export interface Dialect {
  /** The request of a poll. */
  poll(client: Client): string;
  /** What a reply says: the cursor to go on with, and the texts. */
  read(body: string): Said;
}

export interface Said {
  readonly cursor: string;
  readonly texts: readonly string[];
}

interface Parsed extends Said {
  readonly bytes: Buffer;
  readonly first: number;
  readonly count: number;
  /** When each message was offered, by `performance.now()` of this process. */
  readonly offered: readonly number[];
}

/** Latencies in whole milliseconds. */
export class Histogram {
  readonly #counts = new Float64Array(60_000);
  total = 0;

  add(ms: number): void {
    const at = Math.min(this.#counts.length - 1, Math.max(0, Math.floor(ms)));
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.total++;
  }

  /** @param share 0 to 1 */
  percentile(share: number): number {
    let left = this.total * share;
    for (const [ms, count] of this.#counts.entries()) {
      left -= count;
      if (left <= 0) return ms;
    }
    return this.#counts.length;
  }
}

export class Clients {
  readonly dialect: Dialect;
  readonly clients: Client[] = [];
  readonly faults: string[] = [];
  deliveries = 0;
  replies = 0;
  latency = new Histogram();
  /** Called when a client has caught up with the message of this number. */
  onDelivery: (last: number) => void = () => {};
  readonly #recent: Parsed[] = [];

  constructor(dialect: Dialect) {
    this.dialect = dialect;
  }

  /** Connects so many clients and lets them poll. @param headers what each sends with every request */
  async connect(port: number, headers: readonly string[], cursor: string): Promise<void> {
    for (const [n, header] of headers.entries()) {
      const client = new Client(this, n, header, cursor);
      this.clients.push(client);
      await client.connect(port);
      client.poll();
    }
  }

  close(): void {
    for (const client of this.clients) client.close();
  }

  parse(bytes: Buffer): Parsed {
    const known = this.#recent.find((parsed) => parsed.bytes.equals(bytes));
    if (known) return known;
    const said = this.dialect.read(bytes.toString());
    const numbers = said.texts.map((text) => Number(text.split(" ", 1)[0]));
    for (const [n, number] of numbers.entries()) {
      if (number !== (numbers[0] ?? 0) + n) this.faults.push(`out of order within a reply: ${numbers}`);
    }
    const offered = said.texts.map((text) => Number(text.split(" ", 2)[1]));
    const parsed = {
      ...said,
      bytes: Buffer.from(bytes),
      first: numbers[0] ?? 0,
      count: numbers.length,
      offered,
    };
    this.#recent.unshift(parsed);
    this.#recent.length = Math.min(this.#recent.length, 8);
    return parsed;
  }
}

export class Client {
  readonly n: number;
  readonly header: string;
  cursor: string;
  readonly #all: Clients;
  #socket: Socket | undefined;
  #rest: Buffer = Buffer.alloc(0);
  #last = 0;
  #closing = false;

  constructor(all: Clients, n: number, header: string, cursor: string) {
    this.#all = all;
    this.n = n;
    this.header = header;
    this.cursor = cursor;
  }

  connect(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true });
      this.#socket = socket;
      socket.once("connect", resolve).on("error", reject);
      socket.on("data", (bytes: Buffer) => this.#receive(bytes));
      socket.on("close", () => {
        if (!this.#closing) this.#all.faults.push(`client ${this.n}: the connection was closed`);
      });
    });
  }

  poll(): void {
    this.#socket?.write(this.#all.dialect.poll(this), "latin1");
  }

  close(): void {
    this.#closing = true;
    this.#socket?.destroy();
  }

  #receive(bytes: Buffer): void {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const head = this.#rest.indexOf("\r\n\r\n");
    if (head < 0) return;
    const text = this.#rest.toString("latin1", 0, head);
    const length = Number(/content-length: *(\d+)/i.exec(text)?.[1]);
    if (!text.startsWith("HTTP/1.1 200") || Number.isNaN(length)) {
      this.#all.faults.push(`client ${this.n}: ${text.slice(0, 200)}`);
      return;
    }
    const end = head + 4 + length;
    if (this.#rest.length < end) return;
    const body = this.#rest.subarray(head + 4, end);
    this.#rest = this.#rest.subarray(end);
    this.#take(this.#all.parse(body));
    this.poll();
  }

  #take({ cursor, first, count, offered }: Parsed): void {
    const all = this.#all;
    all.replies++;
    this.cursor = cursor;
    if (count === 0) return;
    if (first !== this.#last + 1) all.faults.push(`client ${this.n}: ${first} came after ${this.#last}`);
    this.#last = first + count - 1;
    const now = performance.now();
    for (const at of offered) all.latency.add(now - at);
    all.deliveries += count;
    all.onDelivery(this.#last);
  }
}
