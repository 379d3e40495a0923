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
import { Rounds } from "./rounds.js";

/**
 * One poll. Who asks brings it, with the way to answer it; there may be ten thousand at once, so it is one object
 * and no closures.
 */
export abstract class Waiter {
  readonly user: string;
  /** What was last seen; `"now"` is made a cursor when the poll reaches the room. */
  cursor: Cursor | "now";
  /** How long to wait for a message, in milliseconds; 0 is answered at once. */
  wait: number;
  /** The page that polls: a newer poll of the same page and user supersedes this one. Undefined: nothing does. */
  readonly client: string | undefined;
  /** Its place in the map. */
  readonly key: string | Waiter;
  timer: NodeJS.Timeout | undefined;

  constructor(user: string, cursor: Cursor | "now", wait: number, client?: string) {
    this.user = user;
    this.cursor = cursor;
    this.wait = wait;
    this.client = client;
    this.key = client === undefined ? this : keyOf(user, client);
  }

  /** Called exactly once, unless the connection goes away first. */
  abstract answer(answer: Answer, ending: Ending): void;
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

export class Waiters {
  readonly #held = new Map<string | Waiter, Waiter>();
  // Who came behind. A broadcast makes everybody late, and is one flag instead of one entry each.
  #late = new Set<Waiter>();
  #allLate = false;
  readonly #options: WaitersOptions;
  readonly #rounds = new Rounds<Waiter>(
    () => this.#takeLate(),
    (waiter) => {
      if (this.#isHeld(waiter) && this.#options.isBehind(waiter)) this.settle(waiter, "message");
    },
  );

  constructor(options: WaitersOptions) {
    this.#options = options;
  }

  /** How many polls are held. */
  get size(): number {
    return this.#held.size;
  }

  /** Holds a poll; no other of the same client may be held. */
  hold(waiter: Waiter): void {
    this.#held.set(waiter.key, waiter);
    waiter.timer = setTimeout(timeOut, waiter.wait, this, waiter);
    if (!this.#options.isBehind(waiter)) return;
    this.#late.add(waiter);
    this.#rounds.request();
  }

  /** A message has arrived: everybody who waits is behind now. */
  wake(): void {
    if (this.#held.size === 0) return;
    this.#allLate = true;
    this.#rounds.request();
  }

  /** Lets a waiter go. Nothing happens to one that is gone already. */
  settle(waiter: Waiter, ending: Ending): void {
    if (!this.#isHeld(waiter)) return;
    this.#held.delete(waiter.key);
    this.#late.delete(waiter);
    clearTimeout(waiter.timer);
    this.#options.settled(waiter, ending);
  }

  /** Lets an older poll of the same client go. */
  supersede(waiter: Waiter): void {
    const older = this.#held.get(waiter.key);
    if (older) this.settle(older, "superseded");
  }

  /** Lets the polls of a user go who goes away: that of one client, or all. */
  release(user: string, client?: string): void {
    const one = client === undefined ? undefined : this.#held.get(keyOf(user, client));
    for (const waiter of client === undefined ? this.#of(user) : one ? [one] : [])
      this.settle(waiter, "left");
  }

  /** Lets the poll go that a user has had held for longest. */
  releaseOldest(user: string): void {
    const [oldest] = this.#of(user);
    if (oldest) this.settle(oldest, "left");
  }

  /** Moves a user's own polls from one cursor to the next, past a message that is no news to them. */
  passOver(user: string, from: Cursor, to: Cursor): void {
    for (const waiter of this.#of(user)) if (waiter.cursor === from) waiter.cursor = to;
  }

  /** Lets everybody go, so that the process can stop. */
  drain(): void {
    this.#rounds.stop();
    for (const waiter of [...this.#held.values()]) this.settle(waiter, "drained");
  }

  #isHeld(waiter: Waiter): boolean {
    return this.#held.get(waiter.key) === waiter;
  }

  // Looks at everybody: for what happens once a visit, not once a message.
  #of(user: string): Waiter[] {
    return [...this.#held.values()].filter((waiter) => waiter.user === user);
  }

  #takeLate(): Waiter[] {
    const late = [...(this.#allLate ? this.#held.values() : this.#late)];
    this.#allLate = false;
    this.#late = new Set();
    return late;
  }
}

function timeOut(waiters: Waiters, waiter: Waiter): void {
  waiters.settle(waiter, "time-out");
}
