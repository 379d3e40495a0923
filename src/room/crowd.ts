/**
 * The crowd: who is here when several processes share a store. Each knows its own people at once, and of the others what
 * it is told; who comes and goes is settled in the store, which also makes the notices.
 */
import type { Leaving, Neighbours } from "../store/neighbours.js";
import type { Presence } from "./presence.js";

export class Crowd {
  readonly #neighbours: Neighbours;
  readonly #presence: Presence;
  #here = new Set<string>();
  #sorted: readonly string[] | undefined;

  /** @param presence who is here on this process */
  constructor(neighbours: Neighbours, presence: Presence) {
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

  /** The names of who is here, in order. */
  names(): readonly string[] {
    this.#sorted ??= [...this.#here].sort();
    return this.#sorted;
  }

  /** Somebody was away, from here, and has come. @param left for how many milliseconds; undefined: a poll is held */
  arrived(user: string, left: number | undefined): void {
    this.#add(user);
    this.#neighbours.arrived(user, left);
  }

  /** Somebody goes. Resolves when the others can know. */
  leave(user: string, client: string | undefined, how: Leaving): Promise<void> {
    this.#change(this.#here.delete(user));
    this.#neighbours.left(user, client, how);
    return this.#neighbours.told();
  }

  /** All who are here, as the others know; our own are too. */
  met(here: Iterable<string>): void {
    this.#here = new Set(here);
    for (const [user] of this.#presence.here()) this.#here.add(user);
    this.#change(true);
  }

  /** Somebody is here, as is heard. Who has left since we told of it ourselves is not. */
  came(user: string, isOwn: boolean): void {
    if (!isOwn || this.#presence.has(user)) this.#add(user);
  }

  went(user: string): void {
    // Gone elsewhere; but not from here.
    if (this.#presence.held(user) > 0) this.#neighbours.arrived(user, undefined);
    else this.#change(this.#here.delete(user));
  }

  #add(user: string): void {
    this.#change(!this.#here.has(user));
    this.#here.add(user);
  }

  #change(changed: boolean): void {
    if (changed) this.#sorted = undefined;
  }
}
