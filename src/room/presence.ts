/**
 * Presence: who is here. That is whoever has a poll held, or had one (or looked at the page) within the grace time, and
 * has not said good-bye since. Polls come and go all the time, so arriving and departing are about people, not about
 * polls:
 *
 *   away ──poll or page view──▶ here ──last poll let go──▶ here, leaving ──grace time──▶ away
 *                                 ▲────────poll────────────────┘
 *
 * All that happens per poll is one look-up, when it is held; it keeps the person for when it is let go.
 */
import { Deadlines, type Waiting } from "./deadlines.js";

/** Somebody who is here. */
export class Person implements Waiting {
  readonly user: string;
  /** How many polls are held. */
  polls = 0;
  /** When they will be away, while they have none held: a tick, as for every deadline. */
  due = 0;
  tick: number | undefined;
  isHere = true;

  constructor(user: string) {
    this.user = user;
  }

  /** Whether the grace time is running. */
  get isWaiting(): boolean {
    return this.isHere && this.polls === 0;
  }
}

/** A poll, as far as presence goes. */
export interface Polling {
  readonly user: string;
  /** Whose it is, once it is held. */
  person: Person | undefined;
}

export class Presence {
  readonly #people = new Map<string, Person>();
  readonly #grace: number;
  readonly #leaving: Deadlines<Person>;
  #sorted: readonly string[] | undefined;

  /**
   * @param grace milliseconds after the last poll or page view that a person is still here
   * @param departed is told of whose grace time has ended
   */
  constructor(grace: number, departed: (user: string) => void) {
    this.#grace = grace;
    this.#leaving = new Deadlines(({ user }) => {
      this.leave(user);
      departed(user);
    });
  }

  /** How many people are here. */
  get count(): number {
    return this.#people.size;
  }

  /** Whether somebody is here. */
  has(user: string): boolean {
    return this.#people.has(user);
  }

  /** The names of who is here, in order. */
  names(): readonly string[] {
    this.#sorted ??= [...this.#people.keys()].sort();
    return this.#sorted;
  }

  /** How many polls somebody has held. */
  held(user: string): number {
    return this.#people.get(user)?.polls ?? 0;
  }

  /** Who has most polls held, and how many. Looks at everybody: for when there is no room for more. */
  heaviest(): [user: string, polls: number] {
    let heaviest: [string, number] = ["", 0];
    for (const { user, polls } of this.#people.values()) if (polls > heaviest[1]) heaviest = [user, polls];
    return heaviest;
  }

  /** Who is here, and for how many milliseconds more; undefined while a poll is held. */
  *here(): Iterable<[user: string, left: number | undefined]> {
    for (const person of this.#people.values()) {
      yield [person.user, person.isWaiting ? Math.max(1, this.#leaving.left(person)) : undefined];
    }
  }

  /** A page view of this person, or a poll that is answered at once. True when they were away. */
  touch(user: string): boolean {
    const known = this.#people.get(user);
    const person = known ?? this.#add(user);
    if (person.polls === 0) this.#leaving.set(person, this.#grace);
    return known === undefined;
  }

  /** A poll is held. True when its person was away. */
  hold(poll: Polling): boolean {
    const known = this.#people.get(poll.user);
    poll.person = known ?? this.#add(poll.user);
    poll.person.polls++;
    return known === undefined;
  }

  /** A poll that was held is let go. */
  release({ person }: Polling): void {
    if (!person) return;
    person.polls--;
    // Who left meanwhile has no grace time.
    if (person.isWaiting) this.#leaving.set(person, this.#grace);
  }

  /** This person is away at once. False when they were not here. */
  leave(user: string): boolean {
    const person = this.#people.get(user);
    if (!person) return false;
    person.isHere = false;
    this.#sorted = undefined;
    return this.#people.delete(user);
  }

  /** Forgets all deadlines. */
  stop(): void {
    this.#leaving.stop();
  }

  #add(user: string): Person {
    const person = new Person(user);
    this.#people.set(user, person);
    this.#sorted = undefined;
    return person;
  }
}
