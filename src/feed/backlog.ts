/** The backlog: the newest events in order. It keeps each event once for all readers; a reader is only a cursor. */
import type { Batch, FollowOptions, Snapshot, StoredEvent } from "./batch.js";
import { type Cursor, compareIds, type Id, isExactId, nextId, parseId } from "./id.js";

/** A batch has at most this many events. The reader gets the following ones with its next poll or read. */
const MAX_BATCH_EVENTS = 1000;
/** A batch has at most this many bytes of JSON, or one event that is larger. */
const MAX_BATCH_BYTES = 1024 * 1024;

/** An event, and its JSON once it is known. */
type Entry<E> = StoredEvent<E> & { json: string | undefined };

/** The events of a feed: pushing and reading, without polls. */
export class Backlog<E> {
  protected closed = false;
  #entries: Entry<E>[] = [];
  #lastPrunedId: Id = "0-0";
  #lastId: Id = "0-0";
  readonly #waitingFollowers = new Set<() => void>();

  /** The parameters are described in `FeedOptions`: `limit` is its `backlog`. */
  constructor(
    private readonly limit: number,
    private readonly clockSkew: number,
  ) {}

  /** The id of the newest event, or `lastPrunedId` if none is kept. A reader at this cursor has seen everything. */
  get lastId(): Id {
    return this.#lastId;
  }

  /** The id of the newest event that is no longer kept. */
  get lastPrunedId(): Id {
    return this.#lastPrunedId;
  }

  /**
   * Appends an event. Held polls get it with the next flush. The event must not be changed afterwards.
   * @param id the id that a store has assigned; by default the feed assigns one
   * @returns the id
   * @throws TypeError if JSON cannot carry the event: undefined, a function, a symbol, a BigInt, a cycle
   * @throws RangeError if the id is malformed or not after `lastId`, or one of its integers is above 2^53 - 1
   */
  push(event: E, id: Id = nextId(this.#lastId, Date.now())): Id {
    // The type says `string`, but JSON has no undefined, functions or symbols.
    const json: string | undefined = JSON.stringify(event);
    if (json === undefined) throw new TypeError(`JSON cannot carry an event of type ${typeof event}.`);
    this.#append(id, event, json);
    this.wakeReaders();
    return id;
  }

  /**
   * Replaces all events, after a store was restored or unreachable. Readers whose cursor is in the snapshot continue from
   * there. All other readers get a gap and everything in the snapshot. Later ids follow those of the snapshot. JSON must be
   * able to carry the events. Each is encoded when its first reader gets it.
   * @throws RangeError if `lastPrunedId` is malformed; then nothing changes
   * @throws RangeError if the id of an event is wrong, as in `push`; then the events before it are kept
   */
  reset({ lastPrunedId, events }: Snapshot<E>): void {
    if (!isExactId(lastPrunedId)) throw new RangeError(`The id ${lastPrunedId} is malformed.`);
    this.#entries = [];
    [this.#lastPrunedId, this.#lastId] = [lastPrunedId, lastPrunedId];
    // Readers are woken first, because `#append` may throw. None of them reads before this method returns.
    this.wakeReaders();
    for (const { event, id } of events) this.#append(id, event);
  }

  #append(id: Id, event: E, json?: string): void {
    const isValid = isExactId(id) && compareIds(id, this.#lastId) > 0;
    if (!isValid) throw new RangeError(`The id ${id} is malformed or does not come after ${this.#lastId}.`);
    this.#entries.push({ id, event, json });
    this.#lastId = id;
    if (this.#entries.length > this.limit) this.#lastPrunedId = this.#entries.shift()?.id ?? id;
  }

  /** Returns the events after a cursor, oldest first: at most 1,000, and at most 1 MiB of JSON or one larger event. */
  read(cursor: Cursor | "now"): Batch<E> {
    return this.readJson(this.idAt(cursor))[0];
  }

  /**
   * Returns the last `limit` events before an id, oldest first. `more` says whether events before those are kept.
   * @param before an id, whose own event is not included, or `"now"` for the newest events
   * @param limit the most events; none if it is below 1 or NaN
   */
  readBefore(before: Id | "now", limit: number): { events: StoredEvent<E>[]; more: boolean } {
    const end = before === "now" ? this.#entries.length : this.#indexFrom(before);
    const start = Math.max(0, end - (limit >= 1 ? Math.floor(limit) : 0));
    const events = this.#entries.slice(start, end).map(({ id, event }) => ({ id, event }));
    return { events, more: start > 0 };
  }

  /**
   * Returns an async iterator of batches, for code in the same process. Each batch has events or a gap, and a slow reader
   * gets larger batches. Use the iterator in one loop only. It ends when the loop is left, when `signal` is aborted, or
   * after `close` when everything was read.
   */
  follow({ since = "now", signal }: FollowOptions = {}): AsyncIterableIterator<Batch<E>, undefined> {
    // A generator starts with its first `next`, but "now" means the time of this call.
    return this.#follow(this.idAt(since), signal);
  }

  async *#follow(cursor: Id, signal: AbortSignal | undefined): AsyncGenerator<Batch<E>, undefined> {
    while (!signal?.aborted) {
      const batch = this.read(cursor);
      cursor = batch.cursor;
      if (batch.events.length > 0 || batch.gap) yield batch;
      else if (this.closed) return;
      else await this.#nextChange(signal);
    }
  }

  /** Resolves when the events have changed, when the feed is closed, or when the signal is aborted. */
  #nextChange(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#waitingFollowers.delete(wake);
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      this.#waitingFollowers.add(wake);
      signal?.addEventListener("abort", wake);
    });
  }

  /** Wakes all followers, so that each reads again. Called when the events have changed, and by `close`. */
  protected wakeReaders(): void {
    for (const wake of this.#waitingFollowers) wake();
  }

  /** Returns whether a reader has something to read: newer events, or a gap. */
  protected hasNews(cursor: Cursor | "now"): boolean {
    const id = this.idAt(cursor);
    return id !== this.#lastId && !this.#isFuture(id);
  }

  /** Returns the batch after an id, and its events as the text of a JSON array. */
  protected readJson(id: Id): [batch: Batch<E>, json: string] {
    if (this.#isFuture(id)) return [{ cursor: id, events: [] }, "[]"];
    const at = this.#indexFrom(id);
    // An unknown id between two kept events is a gap too: a reset may have removed its event.
    const isKept = this.#entries[at]?.id === id;
    const from = isKept ? at + 1 : 0;
    const entries: Entry<E>[] = [];
    // The brackets, less one comma.
    let bytes = 1;
    for (const entry of this.#entries.slice(from, from + MAX_BATCH_EVENTS)) {
      entry.json ??= JSON.stringify(entry.event);
      bytes += Buffer.byteLength(entry.json) + 1;
      // A batch has at least one event. Otherwise a large event would never be read.
      if (bytes > MAX_BATCH_BYTES && entries.length > 0) break;
      entries.push(entry);
    }
    const batch = { cursor: entries.at(-1)?.id ?? this.#lastId, events: entries.map(({ event }) => event) };
    const json = `[${entries.map((entry) => entry.json).join(",")}]`;
    return [isKept || id === this.#lastPrunedId ? batch : { ...batch, gap: true }, json];
  }

  /** Returns the id of a cursor: `"0"` means `lastPrunedId`, and `"now"` means `lastId`. */
  protected idAt(cursor: Cursor | "now"): Id {
    if (cursor === "now") return this.#lastId;
    return cursor === "0" ? this.#lastPrunedId : cursor;
  }

  /** Returns whether another process may have assigned this id to an event that arrives later. */
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
