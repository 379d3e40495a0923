/**
 * The room: a feed of messages behind a store. A message goes to the store, and when it is kept it returns and is pushed
 * to the feed. Polls are held in the feed, and their members are present meanwhile.
 */
import { type Batch, Feed } from "../feed/index.js";
import type { Message, Snapshot } from "../store/store.js";
import { Members } from "./members.js";
import { Metrics } from "./metrics.js";
import type { ResolvedOptions } from "./options.js";
import type { Member, MemberPoll } from "./presence.js";
import { unavailable } from "./shared.js";

/** How far the clocks of processes with a common store may differ, in milliseconds. */
const CLOCK_SKEW_MS = 60_000;

const FULL = unavailable("too_many_waiters", "Too many people are waiting. Try again soon.", 2);

export class Room {
  readonly feed: Feed<Message>;
  readonly members: Members;
  readonly metrics = new Metrics();
  /** Whether the room has stopped accepting polls and posts. */
  draining = false;
  /** In milliseconds since the Unix epoch. */
  readonly startedAt = Date.now();

  /** @param onError called with an error that is a fault of the chat; must not throw */
  constructor(
    readonly options: ResolvedOptions,
    private readonly onError: (error: unknown) => void,
  ) {
    const { backlog, maxWaiters, store } = options;
    const clockSkew = store.cluster ? CLOCK_SKEW_MS : 0;
    const encode = (batch: Batch<Message>, events: string) => this.#encode(batch, events);
    this.feed = new Feed({ backlog, maxWaiters, clockSkew, encode, onError });
    this.members = new Members(this.feed, options);
  }

  /** Opens the store, once. Rejects if it cannot be opened. */
  async open(): Promise<void> {
    const { store, backlog } = this.options;
    const receive = (message: Message) => this.#receive(message);
    this.#reset(await store.open(receive, (snapshot) => this.#reset(snapshot), backlog));
    store.cluster?.join(this.members);
  }

  /**
   * Posts a message. Resolves when it is kept; rejects with `StoreUnavailable` if it is not, and with a 503 once the room is
   * closed. A second post of the same user and idempotency key resolves with the first one's message.
   */
  async post(user: string, text: string, key?: string): Promise<Message> {
    if (this.draining) throw unavailable("draining", "The server is stopping. Try again soon.");
    const start = performance.now();
    const message = await this.options.store.append({ user, text, ...(key !== undefined && { key }) });
    this.metrics.appends._sum += (performance.now() - start) / 1000;
    this.metrics.appends._count++;
    return message;
  }

  /** Takes a poll. Throws a 503 if too many polls are held; then this one is never answered. */
  poll(poll: MemberPoll): void {
    this.members.addPoll(poll);
    if (this.feed.poll(poll) !== "full") return;
    if (this.#cancelOldestPoll(poll.member) && this.feed.poll(poll) !== "full") return;
    this.members.removePoll(poll);
    this.metrics.polls.full++;
    throw FULL;
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
      if (message.kind !== undefined) this.members.rememberNotice(message);
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
  #cancelOldestPoll(member: Member): boolean {
    let most = member;
    for (const other of this.members.present) if (other.polls.length > most.polls.length) most = other;
    const oldest = most === member ? undefined : most.polls[0];
    if (oldest) this.feed.cancel(oldest);
    return oldest !== undefined;
  }
}
