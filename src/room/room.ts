/**
 * The room: what is said goes to the store, comes back kept, joins the backlog and wakes who waits. Between "is there
 * something newer?" and "then wait" there is no await, here or below, so nothing can fall between two polls.
 */

import type { Id } from "../store/id.js";
import type { Kept, Message, Store } from "../store/store.js";
import { Answers, type Ending } from "./answers.js";
import { Backlog, type Cursor } from "./backlog.js";
import { Counts } from "./counts.js";
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
  readonly #answers: Answers;
  readonly #notices: Notices;
  readonly #startedAt = Date.now();
  readonly #started = performance.now();
  #draining = false;
  #closed = false;

  /** Opens the store and the room with it. Rejects when the store cannot be opened. */
  static async open(options: RoomOptions): Promise<Room> {
    const early: Message[] = [];
    let receive = (message: Message): void => {
      early.push(message);
    };
    const kept = await options.store.open((message) => receive(message));
    const room = new Room(options, kept);
    receive = (message) => room.#receive(message);
    early.forEach(receive);
    return room;
  }

  private constructor(options: RoomOptions, kept: Kept) {
    this.#options = options;
    this.#backlog = new Backlog(options.backlog, kept);
    const isBehind = ({ cursor }: Waiter) => cursor !== "now" && this.#backlog.isBehind(cursor);
    this.#waiters = new Waiters({
      isBehind,
      settled: (waiter, ending) => this.#settled(waiter, ending),
    });
    this.#followers = new Waiters({
      isBehind,
      settled: (follower, ending) => ending !== "gone" && this.#tell(follower, ending),
    });
    this.#presence = new Presence(options.grace, (user) => this.#notices.departed(user));
    this.#answers = new Answers(this.#backlog, () => this.#presence.count);
    this.#notices = new Notices(options.store, () => this.#presence.count);
    this.names = new Names({
      ...options,
      isPresent: (user) => this.#presence.has(user),
      forgotten: (user) => this.plain.close(user),
    });
    this.plain = new PlainReaders(this.#backlog.end);
  }

  /** How many polls are held. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** How many people are here. */
  get present(): number {
    return this.#presence.count;
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
    return this.#presence.names();
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
      if (!this.#draining && this.#presence.touch(user)) this.#arrived(user);
      poll.answer(this.#answers.to(this.#resolve(poll), this.#draining ? "drained" : "time-out"), "time-out");
      return "answered";
    }
    this.#resolve(poll);
    const wasAway = this.#presence.hold(user);
    this.#waiters.hold(poll);
    if (wasAway) this.#arrived(user);
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

  /** Somebody has logged in: their plain polls begin here. */
  open(user: string): void {
    this.plain.open(user, this.#backlog.end);
  }

  /** Somebody looks at the room's page, which shows everything up to the end. */
  view(user: string): void {
    if (this.#presence.touch(user)) this.#arrived(user);
    this.open(user);
  }

  /** A page says that it is going away: one of several, or, without a client, all there is of this person. */
  leave(user: string, client?: string): void {
    this.#waiters.release(user, client);
    if (client !== undefined && this.#presence.held(user) > 0) return;
    if (this.#presence.leave(user)) this.#notices.saidGoodbye(user);
  }

  /** Ends a session: the person is away, the name is free, the cookie is worth nothing. */
  logout(session: Session): void {
    const user = session.name;
    this.names.end(session);
    this.plain.close(user);
    this.#waiters.release(user);
    if (this.#presence.leave(user)) this.#notices.departed(user);
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

  #receive(message: Message): void {
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

  #arrived(user: string): void {
    // Who had logged in before the process began was here a moment ago, as far as others have noticed.
    const justStarted = performance.now() - this.#started < this.#options.grace;
    const wasHere = (this.names.since(user) ?? this.#startedAt) < this.#startedAt;
    if (justStarted && wasHere) this.#notices.returned(user);
    else this.#notices.arrived(user);
  }
}
