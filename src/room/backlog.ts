/**
 * The backlog: the newest messages, in order, once for everybody. A reader is only a cursor into it, so a queue per
 * user is a number, and nothing is lost or copied when a reader goes away. Each message is serialised once, here.
 *
 * A gap is told by two ids. `floor` is the id before the oldest kept message: a cursor below it has missed
 * something. `end` is the id of the newest: a cursor above it is of another history (a store that was emptied), or, where
 * several processes share a store, of a message that another one had first and that is on its way to us.
 */
import { compareIds, type Id, isId, parseId } from "../store/id.js";
import type { Kept, Message } from "../store/store.js";

/** The id of the last message a reader has seen, or `"0"` for "everything you still keep". */
export type Cursor = Id | "0";

/** What comes after a cursor. */
export interface Slice {
  /** The cursor to read on from: the id of the last of `messages`, or the end. */
  readonly cursor: Id;
  readonly messages: readonly Message[];
  /** `messages` as the inside of a JSON array. */
  readonly json: string;
  /** Messages before these are no longer kept, or the cursor is of another history. */
  readonly gap: boolean;
}

/** The most messages, and bytes of their JSON, in one slice. What is left comes with the next. */
export const SLICE_MESSAGES = 1000;
export const SLICE_BYTES = 1024 * 1024;

/** Whether a text from outside is a cursor. */
export function isCursor(text: string): text is Cursor {
  return text === "0" || isId(text);
}

/** How much later than now, by our clock, an id may be that another process was given, in milliseconds: clocks differ. */
const SKEW = 60_000;

interface Entry {
  readonly message: Message;
  readonly json: string;
  readonly bytes: number;
}

export class Backlog {
  readonly #limit: number;
  readonly #isShared: boolean;
  #entries: Entry[] = [];
  // The oldest kept entry. Entries before it are dropped in one go now and then, not one by one.
  #first = 0;
  #floor: Id;
  #end: Id;

  /**
   * @param limit how many messages are kept, at least 1; the oldest go first
   * @param kept what the store kept from before
   * @param isShared whether other processes may have messages sooner
   */
  constructor(limit: number, kept: Kept, isShared = false) {
    this.#limit = limit;
    this.#isShared = isShared;
    this.#floor = kept.floor;
    this.#end = kept.floor;
    for (const message of kept.messages) this.push(message);
  }

  /** The id before the oldest kept message. */
  get floor(): Id {
    return this.#floor;
  }

  /** The id of the newest message, or of the floor when there is none. */
  get end(): Id {
    return this.#end;
  }

  /** Appends the next message; its id must be after the end. */
  push(message: Message): void {
    if (compareIds(message.id, this.#end) <= 0) {
      throw new RangeError(`message ${message.id} does not come after ${this.#end}`);
    }
    const json = JSON.stringify(message);
    this.#entries.push({ message, json, bytes: Buffer.byteLength(json) });
    this.#end = message.id;
    if (this.#entries.length - this.#first > this.#limit) {
      this.#floor = this.#entries[this.#first]?.message.id ?? this.#floor;
      this.#first++;
    }
    if (this.#first > this.#limit) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
  }

  /** Messages up to `floor` were missed: what was before them is let go, so that whoever waits is told of a gap. */
  skipTo(floor: Id): void {
    this.#entries = [];
    this.#first = 0;
    this.#floor = floor;
    this.#end = floor;
  }

  /** Whether a reader at `cursor` has something to be told: newer messages, or a gap. */
  isBehind(cursor: Cursor): boolean {
    if (cursor === this.#end || this.#isAhead(cursor)) return false;
    return cursor !== "0" || this.#entries.length > this.#first;
  }

  /** Whether a cursor is beyond the end, so that it is of another history. */
  isFuture(cursor: Id): boolean {
    return compareIds(cursor, this.#end) > 0 && !this.#isAhead(cursor);
  }

  /** What comes after `cursor`, at most `SLICE_MESSAGES` and `SLICE_BYTES` of it. */
  after(cursor: Cursor): Slice {
    if (cursor !== "0" && this.#isAhead(cursor)) return { cursor, messages: [], json: "", gap: false };
    const gap = cursor !== "0" && (compareIds(cursor, this.#floor) < 0 || compareIds(cursor, this.#end) > 0);
    const from = cursor === "0" || gap ? this.#first : this.#indexAfter(cursor);
    let to = from;
    let bytes = 0;
    for (const entry of this.#entries.slice(from, from + SLICE_MESSAGES)) {
      bytes += entry.bytes + 1;
      if (bytes > SLICE_BYTES && to > from) break;
      to++;
    }
    const entries = this.#entries.slice(from, to);
    return {
      cursor: entries.at(-1)?.message.id ?? this.#end,
      messages: entries.map((entry) => entry.message),
      json: entries.map((entry) => entry.json).join(","),
      gap,
    };
  }

  /** The newest messages, at most `count`, oldest first. */
  newest(count: number): Message[] {
    const from = Math.max(this.#first, this.#entries.length - count);
    return this.#entries.slice(from).map((entry) => entry.message);
  }

  /** Whether a reader has heard elsewhere what we have not yet. */
  #isAhead(cursor: Cursor): boolean {
    if (!this.#isShared || cursor === "0" || compareIds(cursor, this.#end) <= 0) return false;
    return parseId(cursor)[0] < Date.now() + SKEW;
  }

  /** The place of the first entry after `id`, found by halving. */
  #indexAfter(id: Id): number {
    let low = this.#first;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = this.#entries[middle];
      if (entry && compareIds(entry.message.id, id) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
