/**
 * The connection over time: one link after the other. When one is lost, the next is tried after a while, which grows and
 * is not the same on all processes, so that a Redis that comes back is not overrun.
 */
import { setTimeout as delay } from "node:timers/promises";
import { PATIENCE } from "./client.js";
import type { Link } from "./link.js";

/** After a lost link the next is tried so late, in milliseconds; twice as late each time, up to `RETRY_MAX`, less up to a half. */
const RETRY_MIN = 100;
const RETRY_MAX = 2_000;
/** A link that held so long was a good one, in milliseconds: the next may be tried soon. */
const GOOD = 10_000;

export interface LinksOptions {
  /** Makes a link that is ready to be used. */
  readonly connect: () => Promise<Link>;
  /** Uses a link. Rejects when it is lost, or no good. */
  readonly use: (link: Link) => Promise<never>;
  /** Is told why a link is used no more. */
  readonly lost: (error: unknown) => void;
}

export class Links {
  readonly #options: LinksOptions;
  readonly #closing = new AbortController();
  #current: Link | undefined;
  #lostAt = Number.NEGATIVE_INFINITY;
  #life: Promise<void> | undefined;
  // Who waits for the next link.
  readonly #waiting: (() => void)[] = [];

  constructor(options: LinksOptions) {
    this.#options = options;
  }

  /** The link in use; undefined while there is none. */
  get current(): Link | undefined {
    return this.#current;
  }

  get closing(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Begins with a first link. */
  begin(first: Link): void {
    this.#life = this.#live(first);
  }

  /** The link in use, or the next one when that was lost just now; not if it comes only after `until`, by `performance.now()`. */
  async ready(until: number): Promise<Link | undefined> {
    if (this.#current?.closed === false) return this.#current;
    // An outage that has lasted will last: refuse at once.
    if (!this.#current && performance.now() - this.#lostAt > PATIENCE) return undefined;
    const left = until - performance.now();
    if (left > 0) {
      await Promise.race([new Promise<void>((done) => this.#waiting.push(done)), delay(left)]);
    }
    return performance.now() < until ? this.#current : undefined;
  }

  /** Uses no link any more. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#current?.close();
    await this.#life;
  }

  async #live(first: Link): Promise<void> {
    let failures = 0;
    for (let link: Link | undefined = first; link; link = await this.#next(failures)) {
      const since = performance.now();
      this.#current = link;
      for (const done of this.#waiting.splice(0)) done();
      try {
        await this.#options.use(link);
      } catch (error) {
        link.close();
        this.#current = undefined;
        this.#lostAt = performance.now();
        this.#options.lost(error);
      }
      failures = performance.now() - since < GOOD ? failures + 1 : 0;
    }
  }

  async #next(failures: number): Promise<Link | undefined> {
    for (let n = failures; !this.closing; n++) {
      const wait = Math.min(RETRY_MIN * 2 ** n, RETRY_MAX) * (0.5 + Math.random() / 2);
      await delay(wait, undefined, { signal: this.#closing.signal }).catch(() => undefined);
      if (this.closing) break;
      const link = await this.#options.connect().catch(() => undefined);
      // Closed meanwhile: nobody is left to use it.
      if (this.closing) link?.close();
      else if (link) return link;
    }
    return undefined;
  }
}
