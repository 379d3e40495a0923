/**
 * The room: what is said goes to the store, comes back kept, joins the backlog and wakes who waits. Between "is there
 * something newer?" and "then wait" there is no await, here or below, so nothing can fall between two polls.
 */

import type { Id } from "../store/id.js";
import type { Kept, Message, Receive, Store } from "../store/store.js";
import { Answers, type Ending } from "./answers.js";
import { Backlog, type Cursor } from "./backlog.js";
import { Counts } from "./counts.js";
import { Crowd } from "./crowd.js";
import { Names, type Session } from "./names.js";
import { Notices } from "./notices.js";
import { PlainReaders } from "./plain.js";
import { Presence } from "./presence.js";
import { type Waiter, Waiters } from "./waiters.js";

export interface RoomOptions {
  readonly store: Store;
  /** How many messages are kept for readers who come later. */
  readonly backlog: number;
  /** How many polls may be held at once. */
  readonly maxWaiters: number;
  /** How many polls one person may hold. */
  readonly maxWaitersPerUser: number;
  /** How many names are remembered. */
  readonly maxNames: number;
  /** How long somebody is still here after their last poll, in milliseconds. */
  readonly grace: number;
}

export class Room {
  readonly names: Names;
  readonly plain: PlainReaders;
  readonly counts = new Counts();
  readonly #options: RoomOptions;
  readonly #backlog: Backlog;
  readonly #waiters: Waiters;
  // Apart from people's polls, whose places they must not take.
  readonly #followers: Waiters;
  readonly #presence: Presence;
  // Only with neighbours.
  readonly #crowd: Crowd | undefined;
  /** Who is here, on this process or on any. */
  readonly #here: Crowd | Presence;
  readonly #answers: Answers;
  readonly #notices: Notices;
  readonly #startedAt = Date.now();
  readonly #started = performance.now();
  #draining = false;
  #closed = false;

  /** Opens the store and the room with it. Rejects when the store cannot be opened. */
  static async open(options: RoomOptions): Promise<Room> {
    const early: Parameters<Receive>[] = [];
    let receive: Receive = (...news) => {
      early.push(news);
    };
    const kept = await options.store.open((...news) => receive(...news));
    const room = new Room(options, kept);
    receive = (...news) => room.#receive(...news);
    for (const news of early) receive(...news);
    room.#meetNeighbours();
    return room;
  }

  private constructor(options: RoomOptions, kept: Kept) {
    this.#options = options;
    const { neighbours } = options.store;
    this.#backlog = new Backlog(options.backlog, kept, neighbours !== undefined);
    const isBehind = ({ cursor }: Waiter) => cursor !== "now" && this.#backlog.isBehind(cursor);
    this.#waiters = new Waiters({
      isBehind,
      settled: (waiter, ending) => this.#settled(waiter, ending),
    });
    this.#followers = new Waiters({
      isBehind,
      settled: (follower, ending) => ending !== "gone" && this.#tell(follower, ending),
    });
    this.#presence = new Presence(options.grace, (user) => {
      // Away from here; with neighbours, whether from everywhere is settled among them.
      if (!neighbours) this.#notices.departed(user);
    });
    this.#crowd = neighbours && new Crowd(neighbours, this.#presence);
    this.#here = this.#crowd ?? this.#presence;
    this.#answers = new Answers(this.#backlog, () => this.#here.count);
    this.#notices = new Notices(options.store, () => this.#here.count);
    this.names = new Names({
      ...options,
      isPresent: (user) => this.#here.has(user),
      forgotten: (user) => this.plain.close(user),
      neighbours,
    });
    this.plain = new PlainReaders(this.#backlog.end, neighbours);
  }

  /** How many polls are held. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** How many people are here. */
  get present(): number {
    return this.#here.count;
  }

  /** Whether the room has stopped taking polls and posts. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Whether the store could keep what it was last given. */
  get writable(): boolean {
    return this.#options.store.writable;
  }

  /** The names of who is here, in order. */
  who(): readonly string[] {
    return this.#here.names();
  }

  /** The newest messages, at most `count`, oldest first, and the cursor to read on from. */
  newest(count: number): { readonly messages: readonly Message[]; readonly cursor: Id } {
    return { messages: this.#backlog.newest(count), cursor: this.#backlog.end };
  }

  /**
   * Says something. Resolves once it is kept; rejects with `StoreUnavailable` when it is not.
   * A second post of the same user and idempotency key gives the first one's message.
   */
  async post(user: string, text: string, key?: string): Promise<Message> {
    const began = performance.now();
    try {
      const message = await this.#options.store.append(
        key === undefined ? { user, text } : { user, text, key },
      );
      this.counts.kept.add((performance.now() - began) / 1000);
      return message;
    } catch (error) {
      this.counts.notKept++;
      throw error;
    }
  }

  /**
   * Asks for what comes after the poll's cursor: answered at once, held, or, when no more can be held, `"full"`; then
   * it is not answered.
   */
  poll(poll: Waiter): "answered" | "held" | "full" {
    const { user } = poll;
    this.#waiters.supersede(poll);
    const atOnce = this.#draining || poll.wait <= 0;
    if (!atOnce && !this.#hasRoom(user)) {
      this.counts.polls.full++;
      return "full";
    }
    if (atOnce) {
      this.counts.polls["at-once"]++;
      if (!this.#draining) this.#touch(user);
      poll.answer(this.#answers.to(this.#resolve(poll), this.#draining ? "drained" : "time-out"), "time-out");
      return "answered";
    }
    this.#resolve(poll);
    const wasAway = this.#presence.hold(user);
    this.#waiters.hold(poll);
    if (wasAway) this.#arrived(user, undefined);
    return "held";
  }

  /** The connection of a held poll is gone. */
  gone(waiter: Waiter): void {
    this.#waiters.settle(waiter, "gone");
  }

  /**
   * Asks for what comes after a follower's cursor. It is told when there is something, and "drained" when there is
   * nothing and will be nothing more.
   */
  follow(follower: Waiter): void {
    if (this.#closed) this.#tell(follower, "drained");
    else this.#followers.hold(follower);
  }

  /** A follower asks no more. */
  unfollow(follower: Waiter): void {
    this.#followers.settle(follower, "gone");
  }

  /**
   * Takes a name for a new session. Nothing changes when somebody else holds it, or all names there can be are held.
   * Rejects with `StoreUnavailable` when that cannot be known.
   */
  async claim(session: Session): Promise<"yours" | "taken" | "full"> {
    const { neighbours } = this.#options.store;
    if (!neighbours) return this.names.claim(session);
    const { key, name, id, since } = session;
    const verdict = await neighbours.claim({ key, name, id, since });
    // The store may know of a later login than our clock does.
    if (verdict === "yours")
      this.names.told({ key, name, id, since: Math.max(since, this.names.since(name) ?? 0) });
    return verdict;
  }

  /** Somebody has logged in: their plain polls begin here. */
  open(user: string): void {
    this.plain.open(user, this.#backlog.end);
  }

  /** Somebody looks at the room's page, which shows everything up to the end. */
  view(user: string): void {
    this.#touch(user);
    this.open(user);
  }

  /**
   * A page says that it is going away: one of several, or, without a client, all there is of this person. Resolves when
   * that is so on every process.
   */
  async leave(user: string, client?: string): Promise<void> {
    this.#waiters.release(user, client);
    if (client !== undefined && this.#presence.held(user) > 0) return;
    const wasHere = this.#presence.leave(user);
    if (this.#crowd) await this.#crowd.leave(user, client, "good-bye");
    else if (wasHere) this.#notices.saidGoodbye(user);
  }

  /** Ends a session: the person is away, the name is free, the cookie is worth nothing; resolves when that is so on every process. */
  async logout(session: Session): Promise<void> {
    const user = session.name;
    this.names.end(session);
    this.plain.close(user);
    this.#waiters.release(user);
    const wasHere = this.#presence.leave(user);
    if (this.#crowd) await this.#crowd.leave(user, undefined, "log-out");
    else if (wasHere) this.#notices.departed(user);
  }

  /** Answers every poll, now and from now on, so that the process can stop, and closes the store. */
  async close(): Promise<void> {
    this.#draining = true;
    this.#waiters.drain();
    this.#presence.stop();
    this.#notices.stop();
    try {
      await this.#options.store.close();
    } finally {
      // Last, so that they hear of all that was kept.
      this.#closed = true;
      this.#followers.drain();
    }
  }

  #meetNeighbours(): void {
    const crowd = this.#crowd;
    if (!crowd) return;
    this.#options.store.neighbours?.join({
      grace: this.#options.grace,
      maxNames: this.#options.maxNames,
      here: () => this.#presence.here(),
      met: (owners, here) => {
        for (const owner of owners) this.names.told(owner);
        crowd.met(here);
      },
      owned: (owner) => this.names.told(owner),
      came: (user) => crowd.came(user),
      went: (user) => crowd.went(user),
      left: (user, client) => {
        this.#waiters.release(user, client);
        if (this.#presence.held(user) === 0) this.#presence.leave(user);
      },
    });
  }

  #receive(message: Message, floor?: Id): void {
    if (floor !== undefined) this.#backlog.skipTo(floor);
    const before = this.#backlog.end;
    this.#backlog.push(message);
    this.#answers.forget();
    // That they came is no news to those who came.
    if (message.kind === "join") this.#waiters.passOver(message.user, before, message.id);
    this.#waiters.wake();
    this.#followers.wake();
    this.counts.messages++;
  }

  #settled(waiter: Waiter, ending: Ending): void {
    this.counts.polls[ending]++;
    this.#presence.release(waiter.user);
    if (ending !== "gone") waiter.answer(this.#answers.to(this.#resolve(waiter), ending), ending);
  }

  #tell(follower: Waiter, ending: Ending): void {
    follower.answer(this.#answers.to(this.#resolve(follower), "message"), ending);
  }

  /** Makes a cursor of "only what comes next". */
  #resolve(waiter: Waiter): Cursor {
    if (waiter.cursor === "now") waiter.cursor = this.#backlog.end;
    return waiter.cursor;
  }

  /** Nobody keeps others out by holding many polls: in a full room, who holds most gives their oldest place up. */
  #hasRoom(user: string): boolean {
    const { maxWaiters, maxWaitersPerUser } = this.#options;
    const own = this.#presence.held(user);
    if (own >= maxWaitersPerUser) return false;
    if (this.#waiters.size < maxWaiters) return true;
    const [heaviest, polls] = this.#presence.heaviest();
    if (polls <= own + 1) return false;
    this.#waiters.releaseOldest(heaviest);
    return true;
  }

  #touch(user: string): void {
    if (this.#presence.touch(user)) this.#arrived(user, this.#options.grace);
  }

  /** @param left for how long, in milliseconds; undefined: a poll is held */
  #arrived(user: string, left: number | undefined): void {
    if (this.#crowd) {
      this.#crowd.arrived(user, left);
      return;
    }
    // Who had logged in before the process began was here a moment ago, as far as others have noticed.
    const justStarted = performance.now() - this.#started < this.#options.grace;
    const wasHere = (this.names.since(user) ?? this.#startedAt) < this.#startedAt;
    if (justStarted && wasHere) this.#notices.returned(user);
    else this.#notices.arrived(user);
  }
}
