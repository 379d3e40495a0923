/**
 * The load: long-polling clients on bare sockets in one process, the same for every server. A reply is compared with the
 * last few distinct ones before it is parsed, because a broadcast sends thousands of equal replies. So the load needs less
 * processor time than the server.
 */
import { once } from "node:events";
import { connect } from "node:net";
import { createHistogram } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";

/** One HTTP connection. It hands over whole replies: `{ status, head, body }` with {@link readReply}. */
export class Connection {
  onReply = () => {};
  onEnd = () => {};
  #socket;
  #rest = Buffer.alloc(0);

  static async open(port) {
    const connection = new Connection();
    connection.#socket = connect({ port, host: "127.0.0.1", noDelay: true })
      .on("error", () => {})
      .on("data", (bytes) => connection.#receive(bytes))
      .on("close", () => connection.onEnd("the connection was closed"));
    await once(connection.#socket, "connect");
    return connection;
  }

  write(request) {
    this.#socket.write(request, "latin1");
  }

  /** Sends one request and returns its reply. Throws unless the status is below 400. */
  exchange(request) {
    return new Promise((resolve, reject) => {
      this.onEnd = (reason) => reject(new Error(reason));
      this.onReply = (bytes) => {
        const reply = readReply(bytes);
        if (reply.status < 400) resolve(reply);
        else reject(new Error(`${request.split("\r\n")[0]}: ${reply.head} ${reply.body}`));
      };
      this.write(request);
    });
  }

  close() {
    this.onEnd = () => {};
    this.#socket.destroy();
  }

  #receive(bytes) {
    let rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    for (let length = lengthOf(rest); length > 0; length = lengthOf(rest)) {
      const reply = rest.subarray(0, length);
      rest = rest.subarray(length);
      this.onReply(reply);
    }
    this.#rest = rest;
  }
}

/** Returns the length of the reply at the start of these bytes; 0 while a part of it is missing. */
function lengthOf(bytes) {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return 0;
  const head = bytes.toString("latin1", 0, end);
  if (/transfer-encoding/i.test(head)) throw new Error(`the load reads no chunks: ${head}`);
  const length = end + 4 + Number(/content-length: *(\d+)/i.exec(head)?.[1] ?? 0);
  return bytes.length < length ? 0 : length;
}

function readReply(bytes) {
  const end = bytes.indexOf("\r\n\r\n");
  const head = bytes.toString("latin1", 0, end);
  return { status: Number(head.slice(9, 12)), head, body: bytes.toString("utf8", end + 4) };
}

/** How many clients log in at the same time. */
const LOGINS = 32;

/**
 * A server with polling clients and one connection that posts. The text of each message begins with its number and the
 * time when it was due. So each client is checked for lost, repeated and reordered messages, and each latency is known.
 */
export class Room {
  clients = [];
  /** Bad replies, closed connections, and lost, repeated and reordered messages. */
  faults = [];
  /** In microseconds. */
  latency = createHistogram();
  deliveries = 0;
  /** How many messages were posted. */
  posted = 0;
  #recent = [];
  #poster;
  #target = Number.POSITIVE_INFINITY;
  #waiting = 0;
  #onArrival = () => {};

  constructor(contender) {
    this.contender = contender;
  }

  async close() {
    for (const client of this.clients) client.connection.close();
    this.#poster?.close();
    await this.server?.stop();
  }

  /** Starts the server and logs `count` clients in. */
  async open(count, flags = []) {
    this.server = await this.contender.start(flags);
    /** The server's memory before the first client, in bytes. */
    this.emptyMemory = this.server.memory;
    let cursor = "";
    let n = 0;
    const login = async () => {
      while (n < count) {
        const number = n++;
        const connection = await Connection.open(this.server.port);
        const entry = await this.contender.enter(connection, number);
        cursor = entry.cursor;
        this.clients.push(new Client(this, connection, entry.ticket));
      }
    };
    await Promise.all(Array.from({ length: LOGINS }, login));
    for (const client of this.clients) client.start(cursor);
    await sleep(1500);
  }

  /** Opens the connection that posts, if it is not open. A server closes a connection that sends nothing for long. */
  async openPoster() {
    if (this.#poster) return;
    this.#poster = await Connection.open(this.server.port);
    this.#poster.onReply = (bytes) => {
      const { status, head } = readReply(bytes);
      if (status >= 300) this.faults.push(`a post was answered with ${head}`);
    };
    this.#poster.onEnd = (reason) => this.faults.push(`the poster: ${reason}`);
  }

  /** Posts the next message as the next client. One connection posts all, so they keep their order. */
  post(due = performance.now()) {
    const { ticket } = this.clients[this.posted % this.clients.length];
    this.#poster.write(
      this.contender.post(ticket, `${++this.posted} ${due.toFixed(1)} hello to everybody here`),
    );
  }

  /** Waits until each client has every posted message. Returns false if that takes more than `ms`. */
  async arrival(ms) {
    this.#target = this.posted;
    this.#waiting = this.clients.filter(({ last }) => last < this.#target).length;
    if (this.#waiting === 0) return true;
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#onArrival = () => resolve(clearTimeout(timer));
    });
    return this.#waiting === 0;
  }

  /** Records that the last number of a client grew. */
  advance(from, to) {
    if (from < this.#target && to >= this.#target && --this.#waiting === 0) this.#onArrival();
  }

  /** The number of deliveries that have not come. */
  get missing() {
    return this.clients.reduce((sum, { last }) => sum + this.posted - last, 0);
  }

  /** Throws if there was a fault. */
  check() {
    if (this.faults.length > 0) throw new Error(`${this.faults.length} faults, the first: ${this.faults[0]}`);
  }

  parse(bytes) {
    const known = this.#recent.find((parsed) => parsed.bytes.equals(bytes));
    if (known) return known;
    const reply = readReply(bytes);
    if (reply.status !== 200) this.faults.push(`a poll was answered with ${reply.head}`);
    const content = this.contender.read(reply);
    const ours = content.texts.filter((text) => /^\d+ /.test(text));
    const pairs = ours.map((text) => text.split(" ", 2).map(Number));
    const numbers = pairs.map(([number]) => number);
    const isRun = numbers.every((number, n) => number === numbers[0] + n);
    const due = pairs.map(([, due]) => due);
    const parsed = { ...content, bytes: Buffer.from(bytes), numbers, isRun, due };
    this.#recent = [parsed, ...this.#recent.slice(0, 7)];
    return parsed;
  }
}

class Client {
  cursor = "";
  /** The number of the last message that came. */
  last = 0;

  /** @param ticket the name by which the server knows the client, of the contender's choice */
  constructor(room, connection, ticket) {
    this.room = room;
    this.connection = connection;
    this.ticket = ticket;
  }

  start(cursor) {
    this.cursor = cursor;
    this.connection.onReply = (bytes) => this.#receive(this.room.parse(bytes));
    this.connection.onEnd = (reason) => this.room.faults.push(reason);
    this.connection.write(this.room.contender.poll(this));
  }

  #receive({ cursor, numbers, isRun, due, next = this.room.contender.poll }) {
    const { room, last } = this;
    this.cursor = cursor;
    if (numbers.length > 0) {
      if (!isRun || numbers[0] !== last + 1) room.faults.push(`messages ${numbers} came after ${last}`);
      this.last = numbers.at(-1);
      const now = performance.now();
      for (const time of due) room.latency.record(Math.max(1, Math.round((now - time) * 1000)));
      room.deliveries += numbers.length;
      room.advance(last, this.last);
    }
    this.connection.write(next(this));
  }
}

/** The pause between the requests of `probe`, so long that they are no load. */
const PAUSE_MS = 20;
const PROBE_MS = 6_000;

/** Another client in a process of its own: sends requests one after another and reports how long each took. */
async function probe({ port, requests }) {
  const connection = await Connection.open(port);
  const times = Object.fromEntries(Object.keys(requests).map((name) => [name, []]));
  const end = performance.now() + PROBE_MS;
  while (performance.now() < end) {
    for (const [name, request] of Object.entries(requests)) {
      const start = performance.now();
      await connection.exchange(request);
      times[name].push(performance.now() - start);
      await sleep(PAUSE_MS);
    }
  }
  connection.close();
  process.send(times, () => process.disconnect());
}
if (process.argv[2] === "probe") process.once("message", probe);
