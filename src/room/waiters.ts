/**
 * The waiter map. A waiter is one poll that is held open. Its life:
 *
 *   hold ──▶ in the map, its timer running ──▶ settle ──▶ out of the map, timer cleared, answered (or gone)
 *
 * It has exactly one way out, `settle`, and takes it once, for whichever comes first: a round that finds it behind
 * ("message"), the end of its wait ("time-out"), a newer poll of the same client ("superseded"), its page saying
 * good-bye ("left"), its connection closing ("gone"), or the process stopping ("drained"). The map never asks whether a
 * connection is still there: whoever holds the connection says "gone", and whatever becomes of the answer, the next
 * poll with the same cursor gets everything.
 */
import type { Answer, Ending } from "./answers.js";
import type { Cursor } from "./backlog.js";
import { Deadlines, type Waiting } from "./deadlines.js";
import type { Person, Polling } from "./presence.js";
import { Rounds } from "./rounds.js";

/**
 * One poll. Who asks brings it, with the way to answer it; there may be ten thousand at once, so it is one object
 * and no closures.
 */
export abstract class Waiter implements Polling<Waiter> {
  readonly user: string;
  /** What was last seen; `"now"` is made a cursor when the poll reaches the room. */
  cursor: Cursor | "now";
  /** How long to wait for a message, in milliseconds; 0 is answered at once. */
  wait: number;
  /** The page that polls: a newer poll of the same page and user supersedes this one. Undefined: nothing does. */
  readonly client: string | undefined;
  person: Person<Waiter> | undefined;
  /** Where it is held, or is to be. */
  place: Place | undefined;

  constructor(user: string, cursor: Cursor | "now", wait: number, client?: string) {
    this.user = user;
    this.cursor = cursor;
    this.wait = wait;
    this.client = client;
  }

  /** Called exactly once, unless the connection goes away first. */
  abstract answer(answer: Answer, ending: Ending): void;
}

/** Where the polls of one page are held, one after the other. */
class Place implements Waiting {
  readonly key: string | Place;
  waiter: Waiter | undefined;
  due = 0;
  tick: number | undefined;

  /** @param key absent for a poll that no other follows */
  constructor(key?: string) {
    this.key = key ?? this;
  }

  get isWaiting(): boolean {
    return this.waiter !== undefined;
  }
}

/** A client's id has no space in it, so this is unambiguous. */
function keyOf(user: string, client: string): string {
  return `${client} ${user}`;
}

export interface WaitersOptions {
  /** Whether a waiter has something to be told. */
  readonly isBehind: (waiter: Waiter) => boolean;
  /** Answers a waiter that was let go, unless its connection is gone. */
  readonly settled: (waiter: Waiter, ending: Ending) => void;
}

/** Below so many places nobody looks for empty ones. */
const FEW_PLACES = 1024;

export class Waiters {
  // A page's place stays when its poll is let go, empty, for the next one. A map of the waiters themselves is emptied and
  // filled all the time, so it is copied again and again, and each old copy keeps dead polls alive until the next full
  // collection: that was a third of a delivery's cost.
  readonly #places = new Map<string | Place, Place>();
  // A place may still stand in the deadlines, so it is used again instead of left there.
  readonly #spare: Place[] = [];
  #size = 0;
  #sweepAt = FEW_PLACES;
  // Who came behind. A broadcast makes everybody late, and is one flag instead of one entry each.
  #late = new Set<Waiter>();
  #allLate = false;
  readonly #options: WaitersOptions;
  readonly #deadlines = new Deadlines<Place>(({ waiter }) => {
    if (waiter) this.settle(waiter, "time-out");
  });
  readonly #rounds = new Rounds<Waiter>(
    () => this.#takeLate(),
    (waiter) => {
      if (isHeld(waiter) && this.#options.isBehind(waiter)) this.settle(waiter, "message");
    },
  );

  constructor(options: WaitersOptions) {
    this.#options = options;
  }

  /** How many polls are held. */
  get size(): number {
    return this.#size;
  }

  /** Holds a poll, which has been through `supersede`. */
  hold(waiter: Waiter): void {
    const place = waiter.place ?? this.#newPlace(waiter);
    waiter.place = place;
    place.waiter = waiter;
    this.#size++;
    this.#deadlines.set(place, waiter.wait);
    if (!this.#options.isBehind(waiter)) return;
    this.#late.add(waiter);
    this.#rounds.request();
  }

  /** A message has arrived: everybody who waits is behind now. */
  wake(): void {
    if (this.#size === 0) return;
    this.#allLate = true;
    this.#rounds.request();
  }

  /** Lets a waiter go. Nothing happens to one that is gone already. */
  settle(waiter: Waiter, ending: Ending): void {
    const { place } = waiter;
    if (place?.waiter !== waiter) return;
    place.waiter = undefined;
    waiter.place = undefined;
    // Without a client there is no next one; the place can be anybody's.
    if (place.key === place) {
      this.#places.delete(place);
      this.#spare.push(place);
    }
    this.#size--;
    this.#late.delete(waiter);
    this.#options.settled(waiter, ending);
  }

  /** Lets an older poll of the same client go, whose place this one may have. */
  supersede(waiter: Waiter): void {
    if (waiter.client === undefined) return;
    waiter.place = this.#places.get(keyOf(waiter.user, waiter.client));
    const older = waiter.place?.waiter;
    if (older) this.settle(older, "superseded");
  }

  /** Cancels polls: those of one client, or without a client all. */
  cancel(polls: readonly Waiter[], client?: string): void {
    // A copy, since a poll that is cancelled leaves the list.
    for (const poll of [...polls]) {
      if (client === undefined || poll.client === client) this.settle(poll, "left");
    }
  }

  /** Moves polls from one cursor to the next, past a message that is no news to them. */
  passOver(polls: readonly Waiter[], from: Cursor, to: Cursor): void {
    for (const poll of polls) if (poll.cursor === from) poll.cursor = to;
  }

  /** Lets everybody go, so that the process can stop. */
  drain(): void {
    this.#rounds.stop();
    this.#deadlines.stop();
    for (const waiter of this.#all()) this.settle(waiter, "drained");
  }

  #newPlace(waiter: Waiter): Place {
    if (this.#places.size >= this.#sweepAt) this.#sweep();
    const place =
      waiter.client === undefined
        ? (this.#spare.pop() ?? new Place())
        : new Place(keyOf(waiter.user, waiter.client));
    this.#places.set(place.key, place);
    return place;
  }

  /** Takes away the places of pages that are gone, as rarely as they double. */
  #sweep(): void {
    for (const place of this.#places.values()) if (!place.waiter) this.#places.delete(place.key);
    this.#sweepAt = Math.max(FEW_PLACES, 2 * this.#places.size);
  }

  #all(): Waiter[] {
    const all: Waiter[] = [];
    for (const { waiter } of this.#places.values()) if (waiter) all.push(waiter);
    return all;
  }

  #takeLate(): Waiter[] {
    const late = this.#allLate ? this.#all() : [...this.#late];
    this.#allLate = false;
    this.#late = new Set();
    return late;
  }
}

function isHeld(waiter: Waiter): boolean {
  return waiter.place?.waiter === waiter;
}
