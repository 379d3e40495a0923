/**
 * The people of a room: whose a name is, who is here, and what is told of their coming and going. A process that is
 * alone settles that itself: `Presence` knows who is here, `Notices` tells. With neighbours it is settled among them, in
 * the store; then `Crowd` knows who is here, on any process, and our own presence is what we tell of.
 */
import type { Leaving, Neighbours } from "../store/neighbours.js";
import type { Store } from "../store/store.js";
import { Crowd } from "./crowd.js";
import { Names, type NamesOptions, type Session } from "./names.js";
import { Notices } from "./notices.js";
import { Presence } from "./presence.js";
import type { Waiter } from "./waiters.js";

export interface PeopleOptions extends Pick<NamesOptions, "maxNames" | "grace" | "forgotten"> {
  readonly store: Store;
  /** Lets polls go whose page said good-bye to a neighbour: that of one client, or all of a user. */
  readonly letGo: (user: string, client: string | undefined) => void;
}

export class People {
  readonly names: Names;
  /** Who is here on this process. */
  readonly presence: Presence<Waiter>;
  readonly #options: PeopleOptions;
  readonly #neighbours: Neighbours | undefined;
  readonly #notices: Notices;
  readonly #crowd: Crowd | undefined;
  /** Who is here, on this process or on any. */
  readonly #here: Crowd | Presence<Waiter>;
  readonly #startedAt = Date.now();
  readonly #started = performance.now();

  constructor(options: PeopleOptions) {
    const { store, grace } = options;
    const { neighbours } = store;
    this.#options = options;
    this.#neighbours = neighbours;
    this.presence = new Presence(grace, (user) => {
      // Away from here; with neighbours, whether from everywhere is settled among them.
      if (!neighbours) this.#notices.departed(user);
    });
    this.#crowd = neighbours && new Crowd(neighbours, this.presence);
    this.#here = this.#crowd ?? this.presence;
    this.#notices = new Notices(store, () => this.count);
    this.names = new Names({ ...options, isPresent: (user) => this.#here.has(user), neighbours });
  }

  /** How many people are here. */
  get count(): number {
    return this.#here.count;
  }

  /** Returns the names of the people here in order, at most `count` of them. Default: all. */
  who(count = Number.POSITIVE_INFINITY): string[] {
    return this.#here.names(count);
  }

  /** Takes part among the neighbours, if there are any. */
  meetNeighbours(): void {
    const { names, presence } = this;
    const [crowd, neighbours] = [this.#crowd, this.#neighbours];
    if (!crowd || !neighbours) return;
    const { grace, maxNames, letGo } = this.#options;
    neighbours.join({
      grace,
      maxNames,
      here: () => presence.here(),
      met: (owners, here) => {
        const known = new Set<string>();
        for (const owner of owners) {
          names.told(owner);
          known.add(owner.key);
        }
        // A store that has lost everything is told anew; or others could take the names of who is here.
        for (const [user] of presence.here()) {
          const owner = names.owner(user);
          if (owner && !known.has(owner.key)) neighbours.own(owner);
        }
        crowd.met(here);
      },
      owned: (owner) => names.told(owner),
      came: (user, isOwn) => crowd.came(user, isOwn),
      went: (user) => crowd.went(user),
      left: (user, client) => {
        letGo(user, client);
        if (presence.held(user) === 0) presence.leave(user);
      },
    });
  }

  /**
   * Takes a name for a new session. Nothing changes when somebody else holds it, or all names there can be are held.
   * Rejects with `StoreUnavailable` when that cannot be known.
   */
  async claim(session: Session): Promise<"yours" | "taken" | "full"> {
    if (!this.#neighbours) return this.names.claim(session);
    const verdict = await this.#neighbours.claim(session);
    // The store may know of a later login than our clock does.
    const since = Math.max(session.since, this.names.owner(session.name)?.since ?? 0);
    if (verdict === "yours") this.names.told({ ...session, since });
    return verdict;
  }

  /** Somebody is here without a poll that is held. */
  touch(user: string): void {
    if (this.presence.touch(user)) this.arrived(user, this.#options.grace);
  }

  /** Somebody has come who was away, from here. @param left for how many milliseconds; undefined: a poll is held */
  arrived(user: string, left: number | undefined): void {
    if (this.#crowd) {
      this.#crowd.arrived(user, left);
      return;
    }
    // Who had logged in before the process began was here a moment ago, as far as others have noticed.
    const justStarted = performance.now() - this.#started < this.#options.grace;
    const wasHere = (this.names.owner(user)?.since ?? this.#startedAt) < this.#startedAt;
    if (justStarted && wasHere) this.#notices.returned(user);
    else this.#notices.arrived(user);
  }

  /** Somebody goes, as a page of theirs says, or a log-out. Resolves when that is so on every process. */
  async leave(user: string, client: string | undefined, how: Leaving): Promise<void> {
    const wasHere = this.presence.leave(user);
    if (this.#crowd) await this.#crowd.leave(user, client, how);
    else if (wasHere) this.#notices.left(user, how);
  }

  /** Tells nothing more. */
  stop(): void {
    this.presence.stop();
    this.#notices.stop();
  }
}
