/**
 * The crowd: who is here when several processes share a store. Each knows its own people at once, and of the others what
 * it is told; who comes and goes is settled in the store, which also makes the notices.
 */
import type { Leaving, Neighbours } from "../store/neighbours.js";
import type { Presence } from "./presence.js";
import { SortedNames } from "./sorted.js";
import type { Waiter } from "./waiters.js";

/** What it needs to know of who is here on this process. */
type Local = Pick<Presence<Waiter>, "has" | "held" | "here">;

export class Crowd {
  readonly #neighbours: Neighbours;
  readonly #presence: Local;
  #here = new SortedNames();

  /** @param presence who is here on this process */
  constructor(neighbours: Neighbours, presence: Local) {
    this.#neighbours = neighbours;
    this.#presence = presence;
  }

  /** How many people are here. */
  get count(): number {
    return this.#here.size;
  }

  /** Whether somebody is here. */
  has(user: string): boolean {
    return this.#here.has(user);
  }

  /** Returns the names of the people here in order, at most `count` of them. */
  names(count: number): string[] {
    return this.#here.first(count);
  }

  /** Somebody was away, from here, and has come. @param left for how many milliseconds; undefined: a poll is held */
  arrived(user: string, left: number | undefined): void {
    this.#here.add(user);
    this.#neighbours.arrived(user, left);
  }

  /** Somebody goes. Resolves when the others can know. */
  leave(user: string, client: string | undefined, how: Leaving): Promise<void> {
    this.#here.delete(user);
    this.#neighbours.left(user, client, how);
    return this.#neighbours.told();
  }

  /** All who are here, as the others know; our own are too. */
  met(here: Iterable<string>): void {
    this.#here = new SortedNames();
    for (const user of here) this.#here.add(user);
    for (const [user] of this.#presence.here()) this.#here.add(user);
  }

  /** Somebody is here, as is heard. Who has left since we told of it ourselves is not. */
  came(user: string, isOwn: boolean): void {
    if (!isOwn || this.#presence.has(user)) this.#here.add(user);
  }

  went(user: string): void {
    // Gone elsewhere; but not from here.
    if (this.#presence.held(user) > 0) this.#neighbours.arrived(user, undefined);
    else this.#here.delete(user);
  }
}
