/**
 * Keeps a connection: when one is lost, the next is tried with exponential back-off and jitter, so a Redis that comes back
 * is not overrun.
 */
import { setTimeout as delay } from "node:timers/promises";
import { TIMEOUT_MS } from "./client.js";
import type { Connection } from "./connection.js";

/** The first pause before a new try. Each further one is twice as long, up to `RETRY_MAX_MS`, less up to a half. */
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2_000;
/** After a connection that lasted this long, the next is tried soon. */
const STABLE_MS = 10_000;

export interface ReconnectorOptions {
  /** Makes a connection that is ready to be used. */
  readonly connect: () => Promise<Connection>;
  /** Uses a connection. Rejects when it is lost. */
  readonly use: (connection: Connection) => Promise<never>;
  /** Called with the reason when a connection is lost. */
  readonly lost: (error: unknown) => void;
}

export class Reconnector {
  readonly #options: ReconnectorOptions;
  readonly #closing = new AbortController();
  #current: Connection | undefined;
  #lostAt = Number.NEGATIVE_INFINITY;
  #life: Promise<void> | undefined;
  // Callers that wait for the next connection.
  readonly #waiting: (() => void)[] = [];

  constructor(options: ReconnectorOptions) {
    this.#options = options;
  }

  /** The connection in use; undefined while there is none. */
  get current(): Connection | undefined {
    return this.#current;
  }

  get closing(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Begins with a first connection. */
  begin(first: Connection): void {
    this.#life = this.#live(first);
  }

  /** The connection in use, or the next one when that was lost just now; not if it comes only after `until`, by `performance.now()`. */
  async ready(until: number): Promise<Connection | undefined> {
    if (this.#current?.closed === false) return this.#current;
    // An outage that has lasted will last: refuse at once.
    if (!this.#current && performance.now() - this.#lostAt > TIMEOUT_MS) return undefined;
    const left = until - performance.now();
    if (left > 0) {
      await Promise.race([new Promise<void>((done) => this.#waiting.push(done)), delay(left)]);
    }
    return performance.now() < until ? this.#current : undefined;
  }

  /** Closes the connection, and makes no other. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#current?.close();
    await this.#life;
  }

  async #live(first: Connection): Promise<void> {
    let failures = 0;
    for (
      let connection: Connection | undefined = first;
      connection;
      connection = await this.#next(failures)
    ) {
      const since = performance.now();
      this.#current = connection;
      for (const done of this.#waiting.splice(0)) done();
      try {
        await this.#options.use(connection);
      } catch (error) {
        connection.close();
        this.#current = undefined;
        this.#lostAt = performance.now();
        this.#options.lost(error);
      }
      failures = performance.now() - since < STABLE_MS ? failures + 1 : 0;
    }
  }

  async #next(failures: number): Promise<Connection | undefined> {
    for (let n = failures; !this.closing; n++) {
      const wait = Math.min(RETRY_MIN_MS * 2 ** n, RETRY_MAX_MS) * (0.5 + Math.random() / 2);
      await delay(wait, undefined, { signal: this.#closing.signal }).catch(() => undefined);
      if (this.closing) break;
      const connection = await this.#options.connect().catch(() => undefined);
      // Closed meanwhile: nobody is left to use it.
      if (this.closing) connection?.close();
      else if (connection) return connection;
    }
    return undefined;
  }
}
