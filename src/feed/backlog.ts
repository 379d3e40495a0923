/**
 * The backlog: the newest events in order, kept once for all readers. A reader is only a cursor, so nothing is lost when
 * it goes away. A gap is a cursor that is not in this history: its event is pruned, or another process or an earlier run
 * had it. The reader may have missed events, so it is told of the gap and gets everything that is still kept.
 */
import { type Cursor, compareIds, type Id, nextId, parseId } from "./id.js";

/** An event and its id. */
export interface StoredEvent<E> {
  readonly id: Id;
  readonly event: E;
}

/** What a store kept: where a feed starts. */
export interface Snapshot<E> {
  /** The id of the newest event that is no longer kept. A reader at this cursor has missed nothing. */
  readonly lastPrunedId: Id;
  /** The kept events in order, all after `lastPrunedId`. */
  readonly events: readonly StoredEvent<E>[];
}

/** The events after a cursor. */
export interface Batch<E> {
  /** The cursor after these events: the next read or poll starts here. */
  readonly cursor: Id;
  /** The events in order, as they were pushed. Empty if there are none, or with `superseded` or `retry`. */
  readonly events: readonly E[];
  /** The reader may have missed events. `events` starts with the oldest one that is still kept. */
  readonly gap?: true;
  /** A newer poll of the same client took over. The client must not poll again. */
  readonly superseded?: true;
  /** The feed is draining. The client polls again after this many milliseconds: 0 to 2,000, at random. */
  readonly retry?: number;
}

/** Options of `Feed.follow`. */
export interface FollowOptions {
  /** A cursor, `"0"` for everything that is kept, or `"now"` (the default) for what is pushed after the call. */
  readonly since?: Cursor | "now";
  /** Ends the iteration when it is aborted. */
  readonly signal?: AbortSignal;
}

/** The most events in one batch. The reader gets the rest with its next one. */
export const MAX_BATCH_EVENTS = 1000;
/** The most bytes of JSON in one batch, unless its only event is larger. */
export const MAX_BATCH_BYTES = 1024 * 1024;

/** The reading side of a feed. */
export class Backlog<E> {
  /** How many events are kept. */
  protected limit = 1000;
  /** How far in the future a cursor may be that is waited for, in milliseconds. */
  protected clockSkew = 0;
  #entries: (StoredEvent<E> & { readonly json: string })[] = [];
  #lastPrunedId: Id = "0-0";
  #lastId: Id = "0-0";
  readonly #waitingFollowers = new Set<() => void>();
  protected closed = false;

  /** The id of the newest event, or `lastPrunedId` if none is kept. A reader at this cursor has seen everything. */
  get lastId(): Id {
    return this.#lastId;
  }

  /** The id of the newest event that is no longer kept. */
  get lastPrunedId(): Id {
    return this.#lastPrunedId;
  }

  /**
   * Appends an event, and answers the waiters soon. The event must not be changed afterwards. Beyond the limit, the oldest
   * event is pruned.
   * @param id the id that a store assigned; by default the feed assigns one
   * @returns the id
   * @throws TypeError if JSON cannot carry the event: undefined, a function, a symbol, a BigInt, a cycle
   * @throws RangeError if the id is not after `lastId`, or one of its integers is above 2^53 - 1
   */
  push(event: E, id: Id = nextId(this.#lastId, Date.now())): Id {
    // The type says `string`, but JSON has no undefined, functions or symbols.
    const json: string | undefined = JSON.stringify(event);
    if (json === undefined) throw new TypeError(`JSON cannot carry an event of type ${typeof event}.`);
    const isNext = compareIds(id, this.#lastId) > 0 && parseId(id).every(Number.isSafeInteger);
    if (!isNext) throw new RangeError(`The id ${id} does not come after ${this.#lastId}.`);
    this.#entries.push({ id, event, json });
    this.#lastId = id;
    if (this.#entries.length > this.limit) this.#lastPrunedId = this.#entries.shift()?.id ?? id;
    this.changed();
    return id;
  }

  /**
   * Replaces all events, after a store was restored or out of reach. Readers whose cursor is in the snapshot go on from
   * there. All others are told of a gap and get everything in the snapshot. Ids that the feed assigns later follow those
   * of the snapshot.
   * @throws RangeError if the snapshot is not in order
   */
  reset({ lastPrunedId, events }: Snapshot<E>): void {
    this.#entries = [];
    this.#lastPrunedId = lastPrunedId;
    this.#lastId = lastPrunedId;
    for (const { event, id } of events) this.push(event, id);
    this.changed();
  }

  /** Returns the events after a cursor: at most `limit` (at least 1, default 1,000) and at most 1 MiB of JSON. */
  read(cursor: Cursor | "now", { limit = MAX_BATCH_EVENTS }: { readonly limit?: number } = {}): Batch<E> {
    return this.readJson(this.idAt(cursor), Math.max(1, limit))[0];
  }

  /**
   * Returns the newest events before an id, oldest first, and whether older ones are kept.
   * @param before an id, or `"now"` for the newest events of all
   * @param limit how many events, at most
   */
  readBefore(before: Id | "now", limit: number): { events: StoredEvent<E>[]; more: boolean } {
    const end = before === "now" ? this.#entries.length : this.#indexFrom(before);
    const start = Math.max(0, end - limit);
    const events = this.#entries.slice(start, end).map(({ id, event }) => ({ id, event }));
    return { events, more: start > 0 };
  }

  /**
   * Reads in the same process. Returns an async iterator of batches, each with events or a gap, for one loop. It ends
   * with its signal, with its `return`, or after `close` when everything was read. A slow reader gets larger batches.
   */
  follow({ since = "now", signal }: FollowOptions = {}): AsyncIterableIterator<Batch<E>, undefined> {
    const over = { done: true, value: undefined } as const;
    const wake = () => this.changed();
    let cursor = this.idAt(since);
    let returned = false;
    return {
      next: async () => {
        while (!returned && !signal?.aborted) {
          const batch = this.read(cursor);
          cursor = batch.cursor;
          if (batch.events.length > 0 || batch.gap) return { done: false, value: batch };
          if (this.closed) break;
          signal?.addEventListener("abort", wake);
          await new Promise<void>((resolve) => this.#waitingFollowers.add(resolve));
          signal?.removeEventListener("abort", wake);
        }
        return over;
      },
      return: async () => {
        returned = true;
        wake();
        return over;
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /** Lets all readers look again, because there is something to read, or one of them is over. */
  protected changed(): void {
    for (const wake of this.#waitingFollowers) wake();
    this.#waitingFollowers.clear();
  }

  /** Returns whether a reader has something to read: newer events, or a gap. */
  protected hasNews(cursor: Cursor | "now"): boolean {
    const id = this.idAt(cursor);
    return id !== this.#lastId && !this.#isFuture(id);
  }

  /** Returns the events after an id, at most one batch of them, and the same events as a JSON array. */
  protected readJson(id: Id, limit = MAX_BATCH_EVENTS): [batch: Batch<E>, json: string] {
    if (this.#isFuture(id)) return [{ cursor: id, events: [] }, "[]"];
    const at = this.#indexFrom(id);
    // Only ids of this history are good cursors: one between two events may come from a history that was lost.
    const isKept = this.#entries[at]?.id === id;
    const from = isKept ? at + 1 : 0;
    let [to, bytes] = [from, 0];
    for (const { json } of this.#entries.slice(from, from + limit)) {
      bytes += Buffer.byteLength(json) + 1;
      // A batch has one event at least, or a large event would never be read.
      if (bytes > MAX_BATCH_BYTES && to > from) break;
      to++;
    }
    const entries = this.#entries.slice(from, to);
    const batch = { cursor: entries.at(-1)?.id ?? this.#lastId, events: entries.map(({ event }) => event) };
    const json = `[${entries.map((entry) => entry.json).join(",")}]`;
    return [isKept || id === this.#lastPrunedId ? batch : { ...batch, gap: true }, json];
  }

  /** Returns the id of a cursor: `"0"` stands before the oldest event, and `"now"` after the newest. */
  protected idAt(cursor: Cursor | "now"): Id {
    if (cursor === "now") return this.#lastId;
    return cursor === "0" ? this.#lastPrunedId : cursor;
  }

  /** Whether another process may have assigned this id already, and its event is on the way to this one. */
  #isFuture(id: Id): boolean {
    if (this.clockSkew === 0 || compareIds(id, this.#lastId) <= 0) return false;
    return parseId(id)[0] < Date.now() + this.clockSkew;
  }

  /** Finds the index of the first event that is not before `id`, by binary search. */
  #indexFrom(id: Id): number {
    let [low, high] = [0, this.#entries.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareIds(this.#entries[middle]?.id ?? id, id) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
