/**
 * Presence: who is here. That is whoever has a poll held, or had one (or looked at the page) within the grace time, and
 * has not said good-bye since. Polls come and go all the time, so arriving and departing are about people, not about
 * polls:
 *
 *   away ──poll or page view──▶ here ──last poll let go──▶ here, leaving ──grace time──▶ away
 *                                 ▲────────poll────────────────┘
 *
 * All that happens per poll is a look-up or two. People who are leaving wait in the order of their going, so one timer,
 * for the first of them, serves all.
 */

export class Presence {
  // How many polls each person here has held.
  readonly #polls = new Map<string, number>();
  // When those who have none held will be away, earliest first.
  readonly #leaving = new Map<string, number>();
  readonly #grace: number;
  readonly #departed: (user: string) => void;
  #timer: NodeJS.Timeout | undefined;
  #sorted: readonly string[] | undefined;

  /**
   * @param grace milliseconds after the last poll or page view that a person is still here
   * @param departed is told of whose grace time has ended
   */
  constructor(grace: number, departed: (user: string) => void) {
    this.#grace = grace;
    this.#departed = departed;
  }

  /** How many people are here. */
  get count(): number {
    return this.#polls.size;
  }

  /** Whether somebody is here. */
  has(user: string): boolean {
    return this.#polls.has(user);
  }

  /** The names of who is here, in order. */
  names(): readonly string[] {
    this.#sorted ??= [...this.#polls.keys()].sort();
    return this.#sorted;
  }

  /** How many polls somebody has held. */
  held(user: string): number {
    return this.#polls.get(user) ?? 0;
  }

  /** Who has most polls held, and how many. Looks at everybody: for when there is no room for more. */
  heaviest(): [user: string, polls: number] {
    let heaviest: [string, number] = ["", 0];
    for (const entry of this.#polls) if (entry[1] > heaviest[1]) heaviest = entry;
    return heaviest;
  }

  /** Who is here, and for how many milliseconds more; undefined while a poll is held. */
  *here(): Iterable<[user: string, left: number | undefined]> {
    const now = performance.now();
    for (const user of this.#polls.keys()) {
      const awayAt = this.#leaving.get(user);
      yield [user, awayAt === undefined ? undefined : Math.max(1, awayAt - now)];
    }
  }

  /** A page view of this person, or a poll that is answered at once. True when they were away. */
  touch(user: string): boolean {
    const polls = this.#polls.get(user);
    if (polls === undefined) this.#add(user, 0);
    if (!polls) this.#expect(user);
    return polls === undefined;
  }

  /** A poll of this person is held. True when they were away. */
  hold(user: string): boolean {
    const polls = this.#polls.get(user);
    if (polls === undefined) {
      this.#add(user, 1);
      return true;
    }
    if (polls === 0) this.#leaving.delete(user);
    this.#polls.set(user, polls + 1);
    return false;
  }

  /** A poll that was held is let go. */
  release(user: string): void {
    const polls = this.#polls.get(user);
    // Nothing to let go for somebody who left meanwhile.
    if (!polls) return;
    this.#polls.set(user, polls - 1);
    if (polls === 1) this.#expect(user);
  }

  /** This person is away at once. False when they were not here. */
  leave(user: string): boolean {
    this.#leaving.delete(user);
    this.#sorted = undefined;
    return this.#polls.delete(user);
  }

  /** Ends the timer. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #add(user: string, polls: number): void {
    this.#polls.set(user, polls);
    this.#sorted = undefined;
  }

  #expect(user: string): void {
    // Out and in again, to stand behind all who are to leave earlier.
    this.#leaving.delete(user);
    this.#leaving.set(user, performance.now() + this.#grace);
    this.#timer ??= this.#after(this.#grace);
  }

  #after(delay: number): NodeJS.Timeout {
    // A process that has nothing else to do need not wait for people to be away.
    return setTimeout(() => this.#sweep(), delay).unref();
  }

  #sweep(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const [user, awayAt] of this.#leaving) {
      if (awayAt > now) {
        this.#timer ??= this.#after(awayAt - now);
        return;
      }
      this.leave(user);
      this.#departed(user);
    }
  }
}
