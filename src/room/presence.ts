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
import { SortedNames } from "./sorted.js";

/** Somebody who is here. */
export class Person<P> implements Waiting {
  readonly user: string;
  /** Their held polls, the oldest first. A list, since most people hold one or two. */
  readonly polls: P[] = [];
  /** When they will be away, while they have none held: a tick, as for every deadline. */
  due = 0;
  tick: number | undefined;
  isHere = true;

  constructor(user: string) {
    this.user = user;
  }

  /** Whether the grace time is running. */
  get isWaiting(): boolean {
    return this.isHere && this.polls.length === 0;
  }
}

/** A poll, as far as presence goes. */
export interface Polling<P> {
  readonly user: string;
  /** Whose it is, once it is held. */
  person: Person<P> | undefined;
}

export class Presence<P extends Polling<P>> {
  readonly #people = new Map<string, Person<P>>();
  readonly #names = new SortedNames();
  readonly #grace: number;
  readonly #leaving: Deadlines<Person<P>>;

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

  /** Returns the names of the people here in order, at most `count` of them. */
  names(count: number): string[] {
    return this.#names.first(count);
  }

  /** The polls that somebody has held, the oldest first: the list itself, which changes as they are let go. */
  polls(user: string): readonly P[] {
    return this.#people.get(user)?.polls ?? [];
  }

  /** How many polls somebody has held. */
  held(user: string): number {
    return this.polls(user).length;
  }

  /** The polls of who has most of them held. Looks at everybody: for when there is no room for more. */
  heaviest(): readonly P[] {
    let heaviest: readonly P[] = [];
    for (const { polls } of this.#people.values()) if (polls.length > heaviest.length) heaviest = polls;
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
    if (person.polls.length === 0) this.#leaving.set(person, this.#grace);
    return known === undefined;
  }

  /** A poll is held. True when its person was away. */
  hold(poll: P): boolean {
    const known = this.#people.get(poll.user);
    const person = known ?? this.#add(poll.user);
    person.polls.push(poll);
    poll.person = person;
    return known === undefined;
  }

  /** A poll that was held is let go. */
  release(poll: P): void {
    const { person } = poll;
    if (!person) return;
    if (person.polls.length === 1) person.polls.pop();
    else person.polls.splice(person.polls.indexOf(poll), 1);
    // Who left meanwhile has no grace time.
    if (person.isWaiting) this.#leaving.set(person, this.#grace);
  }

  /** This person is away at once. False when they were not here. */
  leave(user: string): boolean {
    const person = this.#people.get(user);
    if (!person) return false;
    person.isHere = false;
    this.#names.delete(user);
    return this.#people.delete(user);
  }

  /** Forgets all deadlines. */
  stop(): void {
    this.#leaving.stop();
  }

  #add(user: string): Person<P> {
    const person = new Person<P>(user);
    this.#people.set(user, person);
    this.#names.add(user);
    return person;
  }
}
