/**
 * The room: a feed of messages behind a store. A message goes to the store, and when it is kept it returns and is pushed
 * to the feed. Polls are held in the feed, and their members are present meanwhile.
 */
import { type Batch, Feed, type Id } from "../feed/index.js";
import type { Session } from "../store/cluster.js";
import type { Message, Snapshot } from "../store/store.js";
import { unavailable } from "./errors.js";
import { LegacyReader } from "./legacy.js";
import type { Member, MemberPoll } from "./member.js";
import { Members } from "./members.js";
import { Metrics } from "./metrics.js";
import type { ResolvedOptions } from "./options.js";

/** How far the clocks of processes with a common store may differ. */
const CLOCK_SKEW_MS = 60_000;

const FULL = unavailable("too_many_waiters", "Too many people are waiting. Try again soon.", 2);

export class Room {
  readonly feed: Feed<Message>;
  readonly members: Members;
  readonly metrics = new Metrics();
  /** Whether the room has stopped accepting polls and posts. */
  draining = false;
  readonly #startedAt = Date.now();

  /** @param onError called with an error that is a fault of the chat; must not throw */
  constructor(
    readonly options: ResolvedOptions,
    private readonly onError: (error: unknown) => void,
  ) {
    const { backlog, maxWaiters, store } = options;
    this.feed = new Feed({
      ...{ backlog, maxWaiters, onError },
      clockSkew: store.cluster ? CLOCK_SKEW_MS : 0,
      encode: (batch, events) => this.#encode(batch, events),
    });
    this.members = new Members(this.feed, options);
  }

  /** Opens the store, once. Rejects if it cannot be opened. */
  async open(): Promise<void> {
    const { store, backlog } = this.options;
    const receive = (message: Message) => this.#receive(message);
    this.#reset(await store.open(receive, (snapshot) => this.#reset(snapshot), backlog));
    this.members.start();
    store.cluster?.join(this.members);
  }

  /**
   * Posts a message. Resolves when it is kept; rejects with `StoreUnavailable` if it is not. A second post of the same
   * user and idempotency key resolves with the first one's message.
   */
  async post(user: string, text: string, key?: string): Promise<Message> {
    const start = performance.now();
    const message = await this.options.store.append({ user, text, ...(key !== undefined && { key }) });
    this.metrics.appends.add((performance.now() - start) / 1000);
    return message;
  }

  /** Takes a poll. Throws a 503 if there is no room for it; then it is never answered. */
  poll(poll: MemberPoll): void {
    const { member, client, wait } = poll;
    const isOver = wait > 0 && member.polls.length >= this.options.maxWaitersPerUser;
    if (!isOver || (client !== undefined && member.polls.some((other) => other.client === client))) {
      this.members.addPoll(poll);
      if (this.feed.poll(poll) !== "full") return;
      if (this.#makeRoom(member) && this.feed.poll(poll) !== "full") return;
      this.members.removePoll(poll);
    }
    this.metrics.polls.full++;
    throw FULL;
  }

  /** Opens the room for a session: its plain polls start after the newest message. */
  enter({ key, name, id }: Session): Member {
    const member = this.members.get(key, name);
    const { lastId } = this.feed;
    member.legacy = new LegacyReader(id, lastId, lastId);
    return member;
  }

  /**
   * Returns the position of a session's plain polls. A session that is new to this process starts after its log-in, but not
   * before the process started.
   * @param brought the cursor in the caller's cookie, where such a session starts instead
   */
  legacyReader({ key, name, id, since }: Session, brought: Id | undefined): LegacyReader {
    const member = this.members.get(key, name);
    if (member.legacy?.sessionId !== id) {
      const [before] = this.feed.readBefore(`${Math.max(since, this.#startedAt)}-0`, 1).events;
      member.legacy = new LegacyReader(id, brought ?? before?.id ?? this.feed.lastPrunedId);
    }
    return member.legacy;
  }

  /** Rejects posts, answers every poll from now on at once, and closes the store. */
  async close(): Promise<void> {
    this.draining = true;
    this.members.stop();
    this.feed.drain();
    try {
      await this.options.store.close();
    } finally {
      // Last, so that followers get everything that was kept.
      this.feed.close();
    }
  }

  /** Receives a message that is kept. Never throws, so that the store continues after a wrong id. */
  #receive(message: Message): void {
    try {
      this.feed.push(message, message.id);
      this.metrics.messages++;
      if (message.kind !== undefined) this.members.noticed(message);
    } catch (error) {
      this.onError(error);
    }
  }

  #reset({ lastPrunedId, messages }: Snapshot): void {
    this.feed.reset({ lastPrunedId, events: messages.map((event) => ({ id: event.id, event })) });
    this.members.reset(messages);
  }

  #encode({ cursor, gap, superseded, retry }: Batch<Message>, events: string): string {
    const present = this.members.names.length;
    const flags = JSON.stringify({ gap, superseded, retry }).slice(1, -1);
    return `{"cursor":"${cursor}","present":${present},${flags && `${flags},`}"messages":${events}}\n`;
  }

  /** Cancels the oldest poll of the member with the most polls, unless this member has as many. */
  #makeRoom(member: Member): boolean {
    let most = member;
    for (const other of this.members.present) if (other.polls.length > most.polls.length) most = other;
    const oldest = most === member ? undefined : most.polls[0];
    if (oldest) this.feed.cancel(oldest);
    return oldest !== undefined;
  }
}
