/**
 * The room: what is said goes to the store, comes back kept, joins the backlog and wakes who waits. Between "is there
 * something newer?" and "then wait" there is no await, here or below, so nothing can fall between two polls.
 */
import type { Id } from "../store/id.js";
import type { Kept, Message, Receive } from "../store/store.js";
import { type Answer, Answers, type Ending } from "./answers.js";
import { Backlog, type Cursor } from "./backlog.js";
import { Counts } from "./counts.js";
import { Followers } from "./follow.js";
import type { Session } from "./names.js";
import { People, type PeopleOptions } from "./people.js";
import { PlainReaders } from "./plain.js";
import type { Presence } from "./presence.js";
import { type Waiter, Waiters } from "./waiters.js";

export interface RoomOptions extends Omit<PeopleOptions, "forgotten" | "letGo"> {
  /** How many messages are kept for readers who come later. */
  readonly backlog: number;
  /** How many polls may be held at once. */
  readonly maxWaiters: number;
  /** How many polls one person may hold. */
  readonly maxWaitersPerUser: number;
}

export class Room {
  readonly people: People;
  readonly followers: Followers;
  readonly plain: PlainReaders;
  readonly counts = new Counts();
  readonly #options: RoomOptions;
  readonly #backlog: Backlog;
  readonly #answers: Answers;
  readonly #waiters: Waiters;
  readonly #presence: Presence<Waiter>;
  #draining = false;

  /** Opens the store and the room with it. Rejects when the store cannot be opened. */
  static async open(options: RoomOptions): Promise<Room> {
    const early: Parameters<Receive>[] = [];
    let receive: Receive = (...news) => void early.push(news);
    const kept = await options.store.open((...news) => receive(...news));
    const room = new Room(options, kept);
    receive = (...news) => room.#receive(...news);
    for (const news of early) receive(...news);
    room.people.meetNeighbours();
    return room;
  }

  private constructor(options: RoomOptions, kept: Kept) {
    const { neighbours } = options.store;
    this.#options = options;
    this.#backlog = new Backlog(options.backlog, kept, neighbours !== undefined);
    this.#answers = new Answers(this.#backlog, () => this.people.count);
    const isBehind = ({ cursor }: Waiter) => cursor !== "now" && this.#backlog.isBehind(cursor);
    this.#waiters = new Waiters({ isBehind, settled: (waiter, ending) => this.#settled(waiter, ending) });
    this.followers = new Followers(this.#answers, isBehind);
    this.people = new People({
      ...options,
      forgotten: (user) => this.plain.close(user),
      letGo: (user, client) => this.#waiters.cancel(this.#presence.polls(user), client),
    });
    this.#presence = this.people.presence;
    this.plain = new PlainReaders(this.#backlog.end, neighbours);
  }

  /** How many polls are held. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** Whether the room has stopped taking polls and posts. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Whether the store could keep what it was last given. */
  get writable(): boolean {
    return this.#options.store.writable;
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
      const message = await this.#options.store.append({ user, text, ...(key !== undefined && { key }) });
      this.counts.kept.add((performance.now() - began) / 1000);
      return message;
    } catch (error) {
      this.counts.notKept++;
      throw error;
    }
  }

  /** A message was kept, here or on another process. */
  #receive(message: Message, floor?: Id): void {
    if (floor !== undefined) this.#backlog.skipTo(floor);
    const before = this.#backlog.end;
    this.#backlog.push(message);
    this.#answers.forget();
    // That they came is no news to those who came.
    if (message.kind === "join") {
      this.#waiters.passOver(this.#presence.polls(message.user), before, message.id);
    }
    this.#waiters.wake();
    this.followers.wake();
    this.counts.messages++;
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
      if (!this.#draining) this.people.touch(user);
      poll.answer(this.look(poll.cursor), "time-out");
      return "answered";
    }
    if (poll.cursor === "now") poll.cursor = this.#backlog.end;
    const wasAway = this.#presence.hold(poll);
    this.#waiters.hold(poll);
    if (wasAway) this.people.arrived(user, undefined);
    return "held";
  }

  /** Returns the answer to a poll that does not wait. Changes nothing. */
  look(cursor: Cursor | "now"): Answer {
    return this.#answers.to(cursor, this.#draining ? "drained" : "time-out");
  }

  /** Nobody keeps others out by holding many polls: in a full room, who holds most gives their oldest place up. */
  #hasRoom(user: string): boolean {
    const { maxWaiters, maxWaitersPerUser } = this.#options;
    if (this.#waiters.size < Math.min(maxWaiters, maxWaitersPerUser)) return true;
    const own = this.#presence.held(user);
    if (own >= maxWaitersPerUser) return false;
    if (this.#waiters.size < maxWaiters) return true;
    const heaviest = this.#presence.heaviest();
    if (heaviest.length <= own + 1) return false;
    this.#waiters.cancel(heaviest.slice(0, 1));
    return true;
  }

  /** A poll that was held was let go. */
  #settled(waiter: Waiter, ending: Ending): void {
    this.counts.polls[ending]++;
    this.#presence.release(waiter);
    if (ending !== "gone") waiter.answer(this.#answers.to(waiter.cursor, ending), ending);
  }

  /** The connection of a held poll is gone. */
  gone(waiter: Waiter): void {
    this.#waiters.settle(waiter, "gone");
  }

  /** Somebody has logged in: their plain polls begin here. */
  open(user: string): void {
    this.plain.open(user, this.#backlog.end);
  }

  /** Somebody looks at the room's page, which shows everything up to the end. */
  view(user: string): void {
    this.people.touch(user);
    this.open(user);
  }

  /**
   * A page says that it is going away: one of several, or, without a client, all there is of this person. Resolves when
   * that is so on every process.
   */
  async leave(user: string, client?: string): Promise<void> {
    this.#waiters.cancel(this.#presence.polls(user), client);
    if (this.#presence.held(user) === 0) await this.people.leave(user, client, "good-bye");
  }

  /**
   * Ends a session: the person is away, the name is free, the cookie is worth nothing. Resolves when that is so on every
   * process.
   */
  async logout(session: Session): Promise<void> {
    const user = session.name;
    this.people.names.end(session);
    this.plain.close(user);
    this.#waiters.cancel(this.#presence.polls(user));
    await this.people.leave(user, undefined, "log-out");
  }

  /** Answers every poll, now and from now on, so that the process can stop, and closes the store. */
  async close(): Promise<void> {
    this.#draining = true;
    this.#waiters.drain();
    this.people.stop();
    try {
      await this.#options.store.close();
    } finally {
      // Last, so that they hear of all that was kept.
      this.followers.end();
    }
  }
}
