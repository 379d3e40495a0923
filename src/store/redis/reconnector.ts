/** Keeps a connection. When it is lost, the next one is tried with exponential back-off and jitter. */
import { setTimeout as delay } from "node:timers/promises";
import { TIMEOUT_MS } from "./client.js";
import type { Connection } from "./connection.js";

/** The first pause before a new try. Each further one is twice as long, up to `RETRY_MAX_MS`, less up to a half. */
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2_000;
/** After a connection that lasted this long, the back-off starts again. */
const STABLE_MS = 10_000;
/** How often callers that wait look for the next connection. */
const POLL_MS = 20;

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
  #loop: Promise<void> | undefined;

  constructor(options: ReconnectorOptions) {
    this.#options = options;
  }

  /** The connection in use; undefined while there is none. */
  get current(): Connection | undefined {
    return this.#current?.closedAt === undefined ? this.#current : undefined;
  }

  /** Begins with a first connection. */
  begin(first: Connection): void {
    this.#loop = this.#run(first);
  }

  /** Returns the connection in use, or, if it was lost just now, the next one that comes before `until`. */
  async ready(until: number): Promise<Connection | undefined> {
    // An outage that has lasted a while will go on: refuse at once.
    const end = Math.min(until, (this.#current?.closedAt ?? 0) + TIMEOUT_MS);
    while (!this.current && performance.now() < end) await delay(POLL_MS);
    return performance.now() < until ? this.current : undefined;
  }

  /** Closes the connection, and makes no other. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#current?.close();
    await this.#loop;
  }

  async #run(first: Connection): Promise<void> {
    const { signal } = this.#closing;
    let next: Connection | undefined = first;
    for (let tries = 0; !signal.aborted; tries++) {
      if (next) {
        const since = performance.now();
        this.#current = next;
        const error = await this.#options.use(next).catch((reason: unknown) => reason);
        next.close(error);
        if (!signal.aborted) this.#options.lost(error);
        if (performance.now() - since > STABLE_MS) tries = 0;
      }
      const pause = Math.min(RETRY_MIN_MS * 2 ** tries, RETRY_MAX_MS) * (0.5 + Math.random() / 2);
      await delay(pause, undefined, { signal }).catch(() => undefined);
      next = await this.#options.connect().catch(() => undefined);
    }
    next?.close();
  }
}
