/** A server with a crowd that waits, and somebody who posts. */
import { setTimeout as pause } from "node:timers/promises";
import { Clients } from "./clients.js";
import { Connection, readReply } from "./connection.js";
import type { Contender } from "./contenders/contender.js";
import type { ServerUnderTest } from "./server.js";

/** So many get in at once. */
const DOORS = 32;

export class Stage {
  readonly contender: Contender;
  readonly server: ServerUnderTest;
  readonly clients: Clients;
  /** The server's memory before anybody came, in bytes. */
  readonly emptyMemory: number;
  /** A client's that may be used to post and to look at the page. */
  ticket = "";
  /** How many messages were posted. */
  offered = 0;
  #connection: Connection | undefined;

  private constructor(contender: Contender, server: ServerUnderTest) {
    this.contender = contender;
    this.server = server;
    this.clients = new Clients(contender.dialect);
    this.emptyMemory = server.memory;
  }

  /** Starts a server and lets `count` clients in, plays, ends all. */
  static async set<T>(contender: Contender, count: number, play: (stage: Stage) => Promise<T>): Promise<T> {
    const server = await contender.start();
    const stage = new Stage(contender, server);
    try {
      await stage.#fill(count);
      return await play(stage);
    } finally {
      stage.clients.close();
      stage.#connection?.close();
      await server.stop();
    }
  }

  /** Posts the next message, in the name of the next client. One connection takes them all, so that they keep their order. @param due when it was to be posted, by `performance.now()` */
  post(due = performance.now()): void {
    const { all } = this.clients;
    const ticket = all[this.offered % all.length]?.ticket ?? "";
    const text = `${++this.offered} ${due.toFixed(1)} hello everyone in here`;
    this.#connection?.write(this.contender.post(ticket, text));
  }

  async #fill(count: number): Promise<void> {
    let cursor = "";
    let n = 0;
    const door = async () => {
      while (n < count) {
        const number = n++;
        const connection = await Connection.open(this.server.port);
        const entry = await this.contender.enter(connection, number);
        this.ticket ||= entry.ticket;
        cursor = entry.cursor;
        this.clients.add(connection, entry.ticket);
      }
    };
    await Promise.all(Array.from({ length: DOORS }, door));
    const posting = await Connection.open(this.server.port);
    posting.onReply = (bytes) => {
      const { status, head } = readReply(bytes);
      if (status >= 300) this.clients.faults.push(`a post was answered with ${head}`);
    };
    posting.onEnd = (why) => this.clients.faults.push(`the poster: ${why}`);
    this.#connection = posting;
    this.clients.poll(cursor);
    await pause(1500);
  }
}
