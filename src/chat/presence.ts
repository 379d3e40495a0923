/**
 * Presence: the members in the room, and the join and leave notices. A member is present while a poll is held, and for the
 * grace time after that. With a cluster, a member is present as long as one of the processes says so.
 */
import { compareIds, type Feed, type Waiter } from "../feed/index.js";
import type { Message } from "../store/store.js";
import type { ResolvedOptions } from "./options.js";
import { clientOf } from "./shared.js";
import { nameKey } from "./text.js";

/** Above this number of present members, no join or leave notice is written. */
const MAX_NOTICE_MEMBERS = 50;
/** How long a member is present after a page was closed: it may be a reload. */
const RELOAD_MS = 5_000;
/** How many records are checked to find one that may be forgotten. */
const MAX_CHECKED = 100;

/** A poll of a member. */
export type MemberPoll = Waiter<Message> & { readonly member: Member };

/** The record of one member: the owner of the name, the presence, and the held polls. */
export class Member {
  /** The session that owns the name. Empty after a log-out, and behind a host's log-in. */
  sessionId = "";
  /** When the owner logged in, in milliseconds since the Unix epoch. Of two sessions, the newer one is valid. */
  since = 0;
  /** Until when the name is held, and the member is present without a poll, by `performance.now()`. */
  expiry = 0;
  /** On how many processes the member is present. */
  processes = 0;
  /** The newest join or leave notice of this member. Its `id` is its idempotency key until the store has kept it. */
  lastNotice: { readonly id: string; readonly kind?: Message["kind"] } | undefined = undefined;
  /** The held polls, the oldest first. */
  polls: MemberPoll[] = [];

  constructor(
    readonly key: string,
    /** The name as its owner writes it. */
    public name: string,
  ) {}

  /** Whether nobody else may take the name, and the record is needed. */
  get isHeld(): boolean {
    return this.processes > 0 || this.expiry > performance.now();
  }
}

export class Presence {
  /** The members who are present on this process. */
  readonly present = new Set<Member>();
  /** The names of the members who are present on any process, in the order of their UTF-16 code units. */
  readonly names: string[] = [];
  // Roughly by age: `makeRoom` moves a record that is still needed to the end.
  protected readonly records = new Map<string, Member>();
  #sweepTimer: NodeJS.Timeout | undefined;

  /** @param feed holds the polls; its replies contain the number of present members */
  constructor(
    protected readonly feed: Feed<Message>,
    readonly options: ResolvedOptions,
  ) {}

  /** Returns the record of a name. Makes one if there is none. If all are needed, the bound is exceeded. */
  get(key: string, name: string): Member {
    const known = this.records.get(key);
    if (known) return known;
    this.makeRoom();
    const member = new Member(key, name);
    this.records.set(key, member);
    return member;
  }

  /** Makes a member present for the grace time, after a page view. */
  touch(member: Member): void {
    member.expiry = performance.now() + this.options.grace;
    this.#join(member);
  }

  /** Makes the member of a poll present while the poll is held. */
  addPoll(poll: MemberPoll): void {
    const { member } = poll;
    // `push` to an empty list, and `[...polls, poll]` with an empty one, reserve room for 17.
    member.polls = member.polls.length === 0 ? [poll] : [...member.polls, poll];
    this.#join(member);
  }

  /** Removes a poll that is not held any more. Its member is present for the grace time. */
  removePoll(poll: MemberPoll): void {
    const { polls } = poll.member;
    polls.splice(polls.indexOf(poll), 1);
    poll.member.expiry = performance.now() + this.options.grace;
  }

  /** Remembers the newest notice of a member. The key of the next one contains its id, so all processes use the same key. */
  rememberNotice(notice: Message): void {
    this.get(nameKey(notice.user), notice.user).lastNotice = notice;
  }

  /**
   * Starts, or starts again after messages were lost. Remembers the kept notices. After the grace time, an absent
   * member whose newest notice is a join gets a leave notice.
   */
  reset(messages: readonly Message[]): void {
    const sweepMs = Math.min(1_000, this.options.grace / 10);
    this.#sweepTimer ??= setInterval(() => this.#sweep(), sweepMs).unref();
    for (const message of messages) if (message.kind) this.rememberNotice(message);
    const checkAll = () => {
      for (const member of this.records.values())
        if (member.processes === 0 && member.lastNotice?.kind === "join") void this.#notify(member, "leave");
    };
    setTimeout(checkAll, this.options.grace).unref();
  }

  /** Stops. Members stay present. */
  stop(): void {
    clearInterval(this.#sweepTimer);
  }

  // The following three methods are described in `LocalMembers`.

  applyJoin(key: string, name: string): void {
    const member = this.get(key, name);
    if (member.processes++ > 0) return;
    member.name = name;
    this.names.splice(indexOf(this.names, member.name), 0, member.name);
    this.feed.forgetReplies();
    void this.#notify(member, "join");
  }

  applyLeave(key: string): void {
    const member = this.records.get(key);
    if (!member || --member.processes > 0) return;
    this.names.splice(indexOf(this.names, member.name), 1);
    this.feed.forgetReplies();
    void this.#notify(member, "leave");
  }

  applyUnload(key: string, page: string | undefined): void {
    const member = this.records.get(key);
    if (!member) return;
    for (const poll of [...member.polls])
      if (page === undefined || poll.client === clientOf(page, key)) this.feed.cancel(poll);
    if (page === undefined) this.leave(member);
    else member.expiry = Math.min(member.expiry, performance.now() + RELOAD_MS);
  }

  /** Returns whether one more record may be made. Forgets one that nobody holds if there are too many. */
  protected makeRoom(): boolean {
    if (this.records.size < this.options.maxNames) return true;
    let checked = 0;
    for (const [key, member] of this.records) {
      this.records.delete(key);
      if (!member.isHeld) return true;
      this.records.set(key, member);
      if (++checked === MAX_CHECKED) break;
    }
    return false;
  }

  #join(member: Member): void {
    if (this.present.has(member)) return;
    this.present.add(member);
    void this.options.store.cluster?.publish("join", member.key, member.name);
    this.applyJoin(member.key, member.name);
  }

  /** Makes a member absent on this process, and frees the name. */
  protected leave(member: Member): void {
    member.expiry = 0;
    if (!this.present.delete(member)) return;
    void this.options.store.cluster?.publish("leave", member.key, "");
    this.applyLeave(member.key);
  }

  #sweep(): void {
    const now = performance.now();
    for (const member of this.present)
      if (member.polls.length === 0 && member.expiry <= now) this.leave(member);
  }

  /** Writes a notice, unless the newest one says the same. Processes that see one change use one key, so it is kept once. */
  async #notify(member: Member, kind: "join" | "leave"): Promise<void> {
    const { name, lastNotice } = member;
    if (lastNotice?.kind === kind || this.names.length > MAX_NOTICE_MEMBERS) return;
    const key = `${kind} after ${lastNotice?.id ?? "0"}`;
    member.lastNotice = { id: key, kind };
    const { lastId } = this.feed;
    try {
      const { id } = await this.options.store.append({ user: name, text: "", kind, key });
      if (compareIds(id, lastId) > 0 || member.lastNotice.id !== key) return;
      // An older notice has this key: the member was forgotten since then. The new notice comes after it.
      member.lastNotice = { id };
      await this.#notify(member, kind);
    } catch {
      // A lost notice needs no line in the log: the store reports its trouble.
    }
  }
}

/** Returns the index of a name in a sorted list, by binary search. */
function indexOf(names: readonly string[], name: string): number {
  let [low, high] = [0, names.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((names[middle] ?? "") < name) low = middle + 1;
    else high = middle;
  }
  return low;
}
