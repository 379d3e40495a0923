/**
 * The load: long-polling clients on bare sockets in one process, the same for every server. A reply is compared with the
 * last few distinct ones before it is parsed, because a broadcast sends thousands of equal replies. So the load needs less
 * processor time than the server.
 */
import { connect } from "node:net";
import { createHistogram } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";

/** One HTTP connection. It hands over whole replies: `{ status, head, body }` with {@link readReply}. */
export class Connection {
  onReply = () => {};
  onEnd = () => {};
  #socket;
  #rest = Buffer.alloc(0);
  #isClosing = false;

  static open(port) {
    return new Promise((resolve, reject) => {
      const connection = new Connection();
      connection.#socket = connect({ port, host: "127.0.0.1", noDelay: true })
        .once("connect", () => resolve(connection))
        .on("error", reject)
        .on("data", (bytes) => connection.#receive(bytes))
        .on("close", () => {
          if (!connection.#isClosing) connection.onEnd("the connection was closed");
        });
    });
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
    this.#isClosing = true;
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
  /** Bad replies, lost connections, repeated and reordered messages. */
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

  constructor(contender, server) {
    this.contender = contender;
    this.server = server;
    /** The server's memory before the first client, in bytes. */
    this.emptyMemory = server.memory;
  }

  /** Starts a server and logs `count` clients in. Close the room in the end. */
  static async open(contender, count, flags = []) {
    const room = new Room(contender, await contender.start(flags));
    try {
      await room.#fill(count);
      return room;
    } catch (error) {
      await room.close();
      throw error;
    }
  }

  async close() {
    for (const client of this.clients) client.connection.close();
    this.#poster?.close();
    await this.server.stop();
  }

  async #fill(count) {
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
    const arrived = new Promise((resolve) => {
      this.#onArrival = resolve;
    });
    this.#target = this.posted;
    this.#waiting = this.clients.filter(({ last }) => last < this.#target).length;
    if (this.#waiting === 0) return true;
    const timer = new AbortController();
    await Promise.race([arrived, sleep(ms, undefined, { signal: timer.signal })]);
    timer.abort();
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

  /** Throws if a message was lost, repeated or reordered, or a reply or a connection was bad. */
  check() {
    const lost = this.clients.reduce((sum, client) => sum + client.skipped.size, 0);
    if (lost > 0) this.faults.push(`${lost} deliveries were lost`);
    if (this.faults.length > 0) throw new Error(`${this.faults.length} faults, the first: ${this.faults[0]}`);
  }

  parse(bytes) {
    const known = this.#recent.find((parsed) => parsed.bytes.equals(bytes));
    if (known) return known;
    const reply = readReply(bytes);
    if (reply.status !== 200) this.faults.push(`a poll was answered with ${reply.head}`);
    const content = this.contender.read(reply);
    const texts = content.texts
      .filter((text) => /^\d+ /.test(text))
      .map((text) => text.split(" ", 2).map(Number));
    const numbers = texts.map(([number]) => number);
    const isRun = numbers.every((number, n) => number === numbers[0] + n);
    const parsed = {
      ...content,
      bytes: Buffer.from(bytes),
      numbers,
      isRun,
      due: texts.map(([, due]) => due),
    };
    this.#recent = [parsed, ...this.#recent.slice(0, 7)];
    return parsed;
  }
}

class Client {
  cursor = "";
  /** The highest number that came. */
  last = 0;
  /** Lower numbers that have not come. */
  skipped = new Set();

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
      if (isRun && numbers[0] === last + 1) this.last += numbers.length;
      else for (const number of numbers) this.#count(number);
      const now = performance.now();
      for (const time of due) room.latency.record(Math.max(1, Math.round((now - time) * 1000)));
      room.deliveries += numbers.length;
      room.advance(last, this.last);
    }
    this.connection.write(next(this));
  }

  #count(number) {
    if (number > this.last) {
      for (let skipped = this.last + 1; skipped < number; skipped++) this.skipped.add(skipped);
      this.last = number;
    } else
      this.room.faults.push(`message ${number} was ${this.skipped.delete(number) ? "late" : "repeated"}`);
  }
}
