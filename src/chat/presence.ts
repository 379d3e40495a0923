/**
 * Presence: the members in the room, and the join and leave notices. A member is present while a poll is held, and for the
 * grace time after that. With a cluster, a member is present as long as one of the processes says so.
 */
import { compareIds, type Feed } from "../feed/index.js";
import type { Cluster } from "../store/cluster.js";
import type { Message } from "../store/store.js";
import { clientOf, indexOf, Member, type MemberPoll } from "./member.js";
import type { ResolvedOptions } from "./options.js";
import { nameKey } from "./text.js";

/** Above this number of present members, no join or leave notice is written. */
const MAX_NOTICE_MEMBERS = 50;
/** If a member closes the last page and returns within this time, that was a reload: no notice is written. */
const RELOAD_MS = 5_000;
const SWEEP_MAX_MS = 1_000;
/** How many records are checked to find one that may be forgotten. */
const MAX_CHECKED = 100;

export class Presence {
  /** The members who are present on this process. */
  readonly present = new Set<Member>();
  /** The names of the members who are present on any process, in the order of their UTF-16 code units. */
  readonly names: string[] = [];
  // Roughly by age: `makeRoom` moves a record that is still needed to the end.
  protected readonly records = new Map<string, Member>();
  /** When a leave notice is due, by `performance.now()`, unless the member is present then. */
  readonly #leaving = new Map<Member, number>();
  #sweepTimer: NodeJS.Timeout | undefined;

  /** @param feed holds the polls; its replies contain the number of present members */
  constructor(
    protected readonly feed: Feed<Message>,
    readonly options: ResolvedOptions,
  ) {}

  protected get cluster(): Cluster | undefined {
    return this.options.store.cluster;
  }

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
    poll.member.polls.push(poll);
    this.#join(poll.member);
  }

  /** Removes a poll that is not held any more. Its member is present for the grace time. */
  removePoll(poll: MemberPoll): void {
    const { polls } = poll.member;
    polls.splice(polls.indexOf(poll), 1);
    poll.member.expiry = performance.now() + this.options.grace;
  }

  /** Remembers the newest notice of a member: by it, all processes agree on the next one. */
  noticed(notice: Message): Member {
    const member = this.get(nameKey(notice.user), notice.user);
    member.lastNotice = notice;
    return member;
  }

  /** Remembers the kept notices. A member with a join notice has left, unless the member is here after the grace time. */
  reset(messages: readonly Message[]): void {
    const due = performance.now() + this.options.grace;
    for (const message of messages) if (message.kind) this.#leaving.set(this.noticed(message), due);
  }

  /** Starts the sweep. */
  start(): void {
    const sweepMs = Math.min(SWEEP_MAX_MS, this.options.grace / 10);
    this.#sweepTimer = setInterval(() => this.#sweep(), sweepMs).unref();
  }

  /** Stops the sweep. No notice is written after that. */
  stop(): void {
    clearInterval(this.#sweepTimer);
    this.#sweepTimer = undefined;
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

  applyLeave(key: string, mayReturn: boolean): void {
    const member = this.records.get(key);
    if (!member || --member.processes > 0) return;
    this.names.splice(indexOf(this.names, member.name), 1);
    this.feed.forgetReplies();
    if (mayReturn) this.#leaving.set(member, performance.now() + RELOAD_MS);
    else void this.#notify(member, "leave");
  }

  applyUnload(key: string, page: string | undefined): void {
    const member = this.records.get(key);
    if (!member) return;
    for (const poll of [...member.polls]) {
      if (page === undefined || poll.client === clientOf(key, page)) this.feed.cancel(poll);
    }
    if (member.polls.length > 0) return;
    this.leave(member, true);
    if (page === undefined) member.expiry = 0;
  }

  /** Forgets a name that nobody holds, if there are too many. Sessions that it had before are valid again then. */
  protected makeRoom(): boolean {
    if (this.records.size < this.options.maxNames) return true;
    let checked = 0;
    for (const [key, member] of this.records) {
      this.records.delete(key);
      if (!member.isHeld && member.processes === 0 && !this.#leaving.has(member)) return true;
      this.records.set(key, member);
      if (++checked === MAX_CHECKED) break;
    }
    return false;
  }

  #join(member: Member): void {
    if (this.present.has(member)) return;
    this.present.add(member);
    void this.cluster?.publish("join", member.key, member.name);
    this.applyJoin(member.key, member.name);
  }

  /** Makes a member absent on this process. */
  protected leave(member: Member, mayReturn = false): void {
    if (!this.present.delete(member)) return;
    void this.cluster?.publish("leave", member.key, mayReturn ? "reload" : "");
    this.applyLeave(member.key, mayReturn);
  }

  /** Writes the leave notice of an absent member now: another session has the name, so this was no reload. */
  protected replaced(member: Member): void {
    if (member.processes === 0 && this.#leaving.delete(member)) void this.#notify(member, "leave");
  }

  #sweep(): void {
    const now = performance.now();
    for (const member of this.present) {
      if (member.polls.length === 0 && member.expiry <= now) this.leave(member);
    }
    for (const [member, due] of this.#leaving) {
      if (due > performance.now()) continue;
      this.#leaving.delete(member);
      if (member.processes === 0) void this.#notify(member, "leave");
    }
  }

  /**
   * Writes a notice, unless the newest one says the same. The idempotency key contains the id of the notice before, so if
   * several processes see one change, the store keeps one notice.
   */
  async #notify(member: Member, kind: "join" | "leave"): Promise<void> {
    const { name, lastNotice } = member;
    if (!this.#sweepTimer || lastNotice?.kind === kind || this.names.length > MAX_NOTICE_MEMBERS) return;
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
