/**
 * The room: a feed of messages in front of a store. A message goes to the store, comes back when it is kept, and is pushed
 * to the feed. Polls go to the feed, and their members are present meanwhile.
 */
import { type Batch, type Cursor, compareIds, Feed, type FinishReason, type Id } from "../feed/index.js";
import type { Session } from "../store/cluster.js";
import type { Message, NewMessage, Snapshot, Store } from "../store/store.js";
import { Counts } from "./counts.js";
import { type LegacyStart, loadLegacy, openLegacy } from "./legacy-cursors.js";
import type { Member, MemberPoll } from "./member.js";
import { Members } from "./members.js";

/** How far the clocks of processes with a common store may differ, in milliseconds. */
const CLOCK_SKEW_MS = 60_000;

export interface RoomOptions {
  readonly store: Store;
  readonly backlog: number;
  readonly maxWaiters: number;
  readonly maxWaitersPerUser: number;
  readonly maxNames: number;
  readonly grace: number;
}

export class Room {
  readonly feed: Feed<Message>;
  readonly members: Members;
  readonly counts = new Counts();
  /** The held plain polls, which notices do not wake. */
  readonly plainPolls = new Set<MemberPoll>();
  readonly #options: RoomOptions;
  /** The newest message when the process started. */
  readonly #firstId: Id;
  #draining = false;

  /**
   * Opens the store, and the room with it. Rejects if the store cannot be opened.
   * @param onError called with an error that is a fault of ours; must not throw
   */
  static async open(options: RoomOptions, onError: (error: unknown) => void): Promise<Room> {
    // A store may receive messages before the room is made of its snapshot.
    const early: ((room: Room) => void)[] = [];
    let apply = (change: (room: Room) => void): void => {
      early.push(change);
    };
    const snapshot = await options.store.open(
      (message) => apply((room) => room.#receive(message)),
      (snapshot) => apply((room) => room.feed.reset(toFeed(snapshot))),
    );
    const room = new Room(options, snapshot, onError);
    // A store goes on with its work, whatever becomes of a message.
    apply = (change) => {
      try {
        change(room);
      } catch (error) {
        onError(error);
      }
    };
    for (const change of early) apply(change);
    return room;
  }

  private constructor(options: RoomOptions, snapshot: Snapshot, onError: (error: unknown) => void) {
    const { backlog, maxWaiters, store, grace, maxNames } = options;
    const { cluster } = store;
    this.#options = options;
    this.feed = new Feed({
      backlog,
      maxWaiters,
      clockSkew: cluster ? CLOCK_SKEW_MS : 0,
      snapshot: toFeed(snapshot),
      encode: (batch, events) => this.#encode(batch, events),
      onError,
    });
    this.#firstId = this.feed.lastId;
    this.members = new Members({
      grace,
      maxNames,
      cluster,
      cancel: (poll) => this.feed.cancel(poll),
      onChange: () => this.feed.forgetReplies(),
      // A lost notice is not worth a line of its own: the store reports its trouble.
      notify: (notice) => void this.#notify(notice).catch(() => undefined),
    });
    this.members.start(snapshot.messages.filter(({ kind }) => kind !== undefined));
  }

  /** Whether the room has stopped taking polls and posts. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Whether the store kept what it was last given. */
  get writable(): boolean {
    return this.#options.store.writable;
  }

  /**
   * Posts a message. Resolves when it is kept; rejects with `StoreUnavailable` if it is not. A second post of the same
   * user and idempotency key resolves with the first one's message.
   */
  async post(user: string, text: string, key?: string): Promise<Message> {
    const start = performance.now();
    try {
      const message = await this.#options.store.append({ user, text, ...(key !== undefined && { key }) });
      this.counts.kept.add((performance.now() - start) / 1000);
      return message;
    } catch (error) {
      this.counts.notKept++;
      throw error;
    }
  }

  /** Takes a poll. Returns false if there is no room for it; then it is never answered. */
  poll(poll: MemberPoll): boolean {
    const { member } = poll;
    const isFull =
      poll.wait > 0 && member.pollCount >= this.#options.maxWaitersPerUser && !isNewer(poll, member);
    if (!isFull) {
      this.members.presence.addPoll(member, poll);
      if (this.feed.poll(poll) !== "full") return true;
      if (this.#makeRoom(member) && this.feed.poll(poll) !== "full") return true;
      this.members.presence.removePoll(member, poll);
    }
    this.counts.polls.full++;
    return false;
  }

  /** Returns the answer to a poll that does not wait, and changes nothing. */
  peek(since: Cursor | "now"): string {
    const batch = this.feed.read(since === "now" ? this.feed.lastId : since);
    return this.#encode(batch, JSON.stringify(batch.events));
  }

  /** Called by a poll that is finished. */
  finished(poll: MemberPoll, reason: FinishReason): void {
    this.counts.polls[poll.wait <= 0 && reason === "timeout" ? "immediate" : reason]++;
    this.members.presence.removePoll(poll.member, poll);
  }

  /** Opens the room for a session: its plain polls start after the newest message. */
  open(session: Session): Member {
    const member = this.members.get(session);
    openLegacy(member, session, this.feed.lastId);
    return member;
  }

  /** Returns where a session's plain poll starts. @param cookie the cursor that the caller brings */
  loadLegacy(session: Session, cookie: Id | undefined): LegacyStart {
    const { lastId } = this.feed;
    const isPast = (id: Id) => compareIds(id, lastId) <= 0;
    // The newest message before the log-in, or before the start of the process.
    const [before] = this.feed.readBefore(`${session.since}-0`, 1).events;
    const login = before?.id ?? this.feed.lastPrunedId;
    const first = compareIds(login, this.#firstId) < 0 ? this.#firstId : login;
    const brought = cookie !== undefined && isPast(cookie) ? cookie : undefined;
    return loadLegacy(this.members.get(session), session, brought, first);
  }

  /** Returns a cursor without notices between it and the next text: a plain poll is not woken for notices. */
  skipNotices(cursor: Id): Id {
    const { events, cursor: last } = this.feed.read(cursor);
    const next = events.findIndex(({ kind }) => kind === undefined);
    if (next === 0 || events.length === 0) return cursor;
    return next < 0 ? this.skipNotices(last) : (events[next - 1]?.id ?? cursor);
  }

  /** Refuses posts, answers every poll from now on at once, and closes the store. */
  async close(): Promise<void> {
    this.#draining = true;
    this.members.presence.stop();
    this.feed.drain();
    try {
      await this.#options.store.close();
    } finally {
      // Last, so that followers get everything that was kept.
      this.feed.close();
    }
  }

  /** Receives a message that is kept. */
  #receive(message: Message): void {
    const { feed } = this;
    const before = feed.lastId;
    feed.push(message, message.id);
    this.counts.messages++;
    if (message.kind === undefined) return;
    const member = this.members.noticed(message);
    // A member's own join wakes none of the member's polls, and no notice wakes a plain poll.
    const polls = message.kind === "join" ? member.polls() : [];
    for (const poll of [...polls, ...this.plainPolls]) if (poll.cursor === before) poll.cursor = message.id;
  }

  /** Rejects also if a host's store throws. */
  async #notify(notice: NewMessage): Promise<void> {
    await this.#options.store.append(notice);
  }

  #encode({ cursor, gap, superseded, retry }: Batch<Message>, events: string): string {
    const present = this.members.presence.names.length;
    const flags = JSON.stringify({ gap, superseded, retry }).slice(1, -1);
    return `{"cursor":"${cursor}","present":${present},${flags && `${flags},`}"messages":${events}}`;
  }

  /** Cancels the oldest poll of the member with the most, unless this member has as many. */
  #makeRoom({ pollCount }: Member): boolean {
    const heaviest = this.members.heaviest();
    const oldest = heaviest && heaviest.pollCount > pollCount ? heaviest.polls().at(-1) : undefined;
    if (oldest) this.feed.cancel(oldest);
    return oldest !== undefined;
  }
}

/** Whether a poll supersedes another one of its member. */
function isNewer({ client }: MemberPoll, member: Member): boolean {
  return client !== undefined && member.polls().some((poll) => poll.client === client);
}

function toFeed({ lastPrunedId, messages }: Snapshot) {
  return { lastPrunedId, events: messages.map((message) => ({ id: message.id, event: message })) };
}
