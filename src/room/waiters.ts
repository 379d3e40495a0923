/**
 * The waiter map. A waiter is one poll that is held open. Its life:
 *
 *   hold ──▶ in the map, its timer running ──▶ settle ──▶ out of the map, timer cleared, answered (or gone)
 *
 * It has exactly one way out, `settle`, and takes it once, for whichever comes first: a round that finds it behind
 * ("message"), the end of its wait ("time-out"), a newer poll of the same client ("superseded"), its page saying good-bye
 * ("left"), its connection closing ("gone"), or the process stopping ("drained"). The map never asks whether a connection is still there: whoever holds
 * the connection says "gone", and whatever becomes of the answer, the next poll with the same cursor gets everything.
 */
import type { Cursor } from "./backlog.js";
import { Rounds } from "./rounds.js";

/** Why a waiter was let go. */
export type Ending = "message" | "time-out" | "superseded" | "left" | "gone" | "drained";

/** A poll that is held, as the map sees it. */
export class Waiter {
  readonly user: string;
  /** Moves only past what this user is not to be woken for. */
  cursor: Cursor;
  /** Equal for polls of one page of one user; the map itself never shares it between users. */
  readonly key: string | Waiter;
  readonly answer: (ending: Ending) => void;
  timer: NodeJS.Timeout | undefined;

  /**
   * @param client the page that polls, or undefined when it did not say; then nothing supersedes this poll
   * @param answer called once, when the poll is let go
   */
  constructor(user: string, client: string | undefined, cursor: Cursor, answer: (ending: Ending) => void) {
    this.user = user;
    this.cursor = cursor;
    this.key = client === undefined ? this : keyOf(user, client);
    this.answer = answer;
  }
}

/** A client's id has no space in it, so this is unambiguous. */
function keyOf(user: string, client: string): string {
  return `${client} ${user}`;
}

export class Waiters {
  readonly #held = new Map<string | Waiter, Waiter>();
  // Who came behind. A broadcast makes everybody late, and is one flag instead of one entry each.
  #late = new Set<Waiter>();
  #allLate = false;
  readonly #isBehind: (cursor: Cursor) => boolean;
  readonly #rounds = new Rounds<Waiter>(
    () => this.#takeLate(),
    (waiter) => {
      if (this.#held.get(waiter.key) === waiter && this.#isBehind(waiter.cursor))
        this.settle(waiter, "message");
    },
  );

  /** @param isBehind whether a reader at this cursor has something to be told */
  constructor(isBehind: (cursor: Cursor) => boolean) {
    this.#isBehind = isBehind;
  }

  /** How many polls are held. */
  get size(): number {
    return this.#held.size;
  }

  /** Holds a poll for `wait` milliseconds; no other of the same client may be held. */
  hold(waiter: Waiter, wait: number): void {
    this.#held.set(waiter.key, waiter);
    waiter.timer = setTimeout(timeOut, wait, this, waiter);
    if (!this.#isBehind(waiter.cursor)) return;
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
    if (this.#held.get(waiter.key) !== waiter) return;
    this.#held.delete(waiter.key);
    this.#late.delete(waiter);
    clearTimeout(waiter.timer);
    waiter.answer(ending);
  }

  /** Lets the polls of a user go: of one client that takes another poll or goes away, or of all. */
  release(user: string, client: string | undefined, ending: "superseded" | "left"): void {
    if (client === undefined) {
      for (const waiter of this.#of(user)) this.settle(waiter, ending);
    } else {
      const waiter = this.#held.get(keyOf(user, client));
      if (waiter) this.settle(waiter, ending);
    }
  }

  /** Lets the poll go that a user has had held for longest. */
  releaseOldest(user: string): void {
    const [oldest] = this.#of(user);
    if (oldest) this.settle(oldest, "left");
  }

  /** Moves a user's own polls from one cursor to the next, past a message that is no news to them. */
  skip(user: string, from: Cursor, to: Cursor): void {
    for (const waiter of this.#of(user)) if (waiter.cursor === from) waiter.cursor = to;
  }

  /** Lets everybody go, so that the process can stop. */
  drain(): void {
    this.#rounds.stop();
    for (const waiter of [...this.#held.values()]) this.settle(waiter, "drained");
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
