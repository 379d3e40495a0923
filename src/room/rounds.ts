/**
 * When the next round is. Polls that are behind are answered together, in a round; after a round that kept the
 * process busy for *d*, the room rests 2*d*, so that what arrives meanwhile travels together in the next one. A quiet
 * room has rested long ago and answers on the next turn of the event loop; a busy one spends its time on messages
 * instead of replies. Every late poll waits for a round, also one that comes back behind: if those were answered one
 * by one, rounds would find nobody waiting, cost nothing, never rest, and a busy room would stay at one reply a message.
 */

/** How long a round may keep the event loop before others get their turn, in milliseconds. */
const TURN = 10;
/** A round of no more than so many answers begins with a longer turn: cut in two, the last of them would be twice as late. */
const SMALL_ROUND = 1000;
/** How long that turn may be, in milliseconds. */
const LONG_TURN = 40;
/** The rest after a round, as a multiple of its busy time. One was too short to keep a busy room in rounds. */
const REST = 2;

export class Rounds<T> {
  readonly #begin: () => readonly T[];
  readonly #answer: (item: T) => void;
  #round: Iterator<T> | undefined;
  #busy = 0;
  #restedAt = 0;
  #again = false;
  #stop: (() => void) | undefined;

  /**
   * @param begin gives those whom a round that begins now will answer
   * @param answer answers one of them
   */
  constructor(begin: () => readonly T[], answer: (item: T) => void) {
    this.#begin = begin;
    this.#answer = answer;
  }

  /** Somebody is behind: let there be a round, as soon as the room has rested from the last one. */
  request(): void {
    if (this.#round) this.#again = true;
    if (this.#stop || this.#round) return;
    const rest = this.#restedAt - performance.now();
    if (rest < 1) {
      this.#nextTurn();
    } else {
      const timer = setTimeout(() => this.#turn(), rest);
      this.#stop = () => clearTimeout(timer);
    }
  }

  /** Forgets the round that is under way or due. */
  stop(): void {
    this.#stop?.();
    this.#stop = undefined;
    this.#round = undefined;
    this.#again = false;
  }

  #nextTurn(): void {
    const immediate = setImmediate(() => this.#turn());
    this.#stop = () => clearImmediate(immediate);
  }

  /** One turn of a round: as many answers as fit, then the event loop may see to others. */
  #turn(): void {
    this.#stop = undefined;
    const start = performance.now();
    let turn = TURN;
    if (!this.#round) {
      const late = this.#begin();
      if (late.length <= SMALL_ROUND) turn = LONG_TURN;
      this.#round = late.values();
    }
    const round = this.#round;
    let now = start;
    for (let count = 1; now - start < turn; count++) {
      const next = round.next();
      if (next.done) {
        this.#round = undefined;
        break;
      }
      this.#answer(next.value);
      // Reading the clock is not free.
      if (count % 16 === 0) now = performance.now();
    }
    now = performance.now();
    this.#busy += now - start;
    if (this.#round) this.#nextTurn();
    else this.#rest(now);
  }

  #rest(now: number): void {
    this.#restedAt = now + REST * this.#busy;
    this.#busy = 0;
    if (!this.#again) return;
    this.#again = false;
    this.request();
  }
}
