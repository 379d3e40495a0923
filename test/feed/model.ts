/** What a feed is compared with: a model of a few lines. */
import type { Cursor, Id } from "../../src/feed/index.js";

/** The history: all ids from the start on. The newest `limit` of the events are kept. */
export class Model {
  readonly ids: Id[];
  readonly #limit: number;
  /** The place of the newest pruned event in `ids`. */
  #pruned = 0;

  constructor(limit: number, start: Id) {
    this.#limit = limit;
    this.ids = [start];
  }

  push(id: Id): void {
    this.ids.push(id);
    this.#pruned = Math.max(this.#pruned, this.ids.length - 1 - this.#limit);
  }

  /** The store lost its newest events: the history ends earlier, and continues with other ids. */
  lose(count: number): void {
    this.ids.length = Math.max(this.#pruned + 1, this.ids.length - count);
  }

  get lastPrunedId(): Id {
    return this.ids[this.#pruned] ?? "0-0";
  }

  get kept(): Id[] {
    return this.ids.slice(this.#pruned + 1);
  }

  /** What a reader gets: the events after its cursor, or a gap and everything that is kept. */
  after(cursor: Cursor): { events: Id[]; gap: boolean } {
    const seen = cursor === "0" ? this.#pruned : this.ids.indexOf(cursor);
    const gap = seen < this.#pruned;
    return { events: gap ? this.kept : this.ids.slice(seen + 1), gap };
  }
}
