/**
 * Presence: the members in the room, and the join and leave notices. A member is present while a poll is held, and for the
 * grace time after that. With a cluster, a member is present as long as one of the processes says so.
 */
import type { Cluster, LeaveReason } from "../store/cluster.js";
import type { Message, NewMessage } from "../store/store.js";
import { clientOf, type Member, type MemberPoll } from "./member.js";
import { nameKey } from "./text.js";

/** Above this number of present members, no join or leave notice is written. */
const MAX_NOTICE_MEMBERS = 50;
/** A member who closes the last page and returns within this time has reloaded it: no notice is written. */
const RELOAD_MS = 5_000;
const SWEEP_MIN_MS = 10;
const SWEEP_MAX_MS = 1_000;

/** The room, as its members need it. */
export interface MembersHost {
  /** Cancels a held poll. */
  cancel(poll: MemberPoll): void;
  /** Called when the number of present members has changed. */
  onChange(): void;
  /** Writes a notice to the store. Must not throw. */
  notify(notice: NewMessage): void;
}

export abstract class Presence {
  /** The members that the sweep checks: present on this process, or with a leave notice that may be due. */
  protected readonly expiring = new Set<Member>();
  readonly #names: string[] = [];
  #sweepTimer: NodeJS.Timeout | undefined;
  #isStopped = false;

  /** @param grace how long a name is held, and its member is present, after the last sign of life, in milliseconds */
  constructor(
    readonly grace: number,
    protected readonly cluster: Cluster | undefined,
    protected readonly host: MembersHost,
  ) {}

  /** Returns the record of a name. Makes one if there is none. */
  abstract get(key: string, name?: string): Member;

  /** The names of the members who are present on any process, in the order of their UTF-16 code units. */
  get names(): readonly string[] {
    return this.#names;
  }

  /** Lists the members who are present on this process. */
  present(): Member[] {
    return [...this.expiring].filter(({ isLocal }) => isLocal);
  }

  /** Starts the sweep. A member with a kept join notice who does not return within the grace time has left. */
  start(notices: readonly Message[]): void {
    for (const notice of notices) this.#noticeLeaveIn(this.grace, this.noticed(notice));
    const sweepMs = Math.max(SWEEP_MIN_MS, Math.min(SWEEP_MAX_MS, this.grace / 10));
    this.#sweepTimer = setInterval(() => this.#sweep(), sweepMs).unref();
  }

  /** Makes a member present for the grace time, after a page view. */
  touch(member: Member): void {
    member.expiry = performance.now() + this.grace;
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
    poll.member.expiry = performance.now() + this.grace;
  }

  /** Remembers the newest notice of a member: by it, all processes agree on the next one. */
  noticed(notice: Message): Member {
    const member = this.get(nameKey(notice.user), notice.user);
    member.lastNotice = notice;
    return member;
  }

  /** Applies that a member is present on one more process. */
  applyJoin(key: string, name: string): void {
    const member = this.get(key, name);
    if (member.processes++ > 0) return;
    this.#names.splice(this.#indexOf(member.name), 0, member.name);
    this.host.onChange();
    this.#notify(member, "join");
  }

  /** Applies that a member is present on one process less. */
  applyLeave(key: string, reason: LeaveReason): void {
    const member = this.get(key);
    if (member.processes === 0 || --member.processes > 0) return;
    this.#names.splice(this.#indexOf(member.name), 1);
    this.host.onChange();
    if (reason === "unload") this.#noticeLeaveIn(RELOAD_MS, member);
    else this.#notify(member, "leave");
  }

  /** Applies that a page was closed: its polls end, or without a page all of the member's. */
  applyUnload(key: string, page: string | undefined): void {
    const member = this.get(key);
    const client = page === undefined ? undefined : clientOf(key, page);
    for (const poll of [...member.polls]) {
      if (client === undefined || poll.client === client) this.host.cancel(poll);
    }
    if (member.polls.length > 0) return;
    this.leave(member, "unload");
    if (page === undefined) member.expiry = 0;
  }

  /** Stops the sweep. No notice is written after that. */
  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#sweepTimer);
  }

  /** Makes a member absent on this process. */
  protected leave(member: Member, reason: LeaveReason): void {
    if (!member.isLocal) return;
    member.isLocal = false;
    this.expiring.delete(member);
    this.cluster?.left(member.key, reason);
    this.applyLeave(member.key, reason);
  }

  /** Writes the leave notice of a member who has not returned by then. */
  #noticeLeaveIn(ms: number, member: Member): void {
    member.leaveNoticeAt = performance.now() + ms;
    this.expiring.add(member);
  }

  /** Gives a member another spelling of the name. */
  protected rename(member: Member, name: string): void {
    if (member.processes > 0) {
      this.#names.splice(this.#indexOf(member.name), 1);
      this.#names.splice(this.#indexOf(name), 0, name);
    }
    member.name = name;
  }

  #join(member: Member): void {
    if (member.isLocal) return;
    member.isLocal = true;
    this.expiring.add(member);
    this.cluster?.joined(member.key, member.name);
    this.applyJoin(member.key, member.name);
  }

  /**
   * Writes a notice, unless the newest one says the same. The idempotency key contains the id of the notice before, so if
   * several processes see one change, the store keeps one notice.
   */
  #notify(member: Member, kind: "join" | "leave"): void {
    const { name, lastNotice } = member;
    if (this.#isStopped || lastNotice?.kind === kind || this.#names.length > MAX_NOTICE_MEMBERS) return;
    const key = `${kind} after ${lastNotice?.id ?? "0"}`;
    member.lastNotice = { id: key, kind };
    this.host.notify({ user: name, text: "", kind, key });
  }

  #sweep(): void {
    const now = performance.now();
    for (const member of this.expiring) {
      if (member.isLocal && member.polls.length === 0 && member.expiry <= now) this.leave(member, "timeout");
      if (member.isLocal || member.leaveNoticeAt > now) continue;
      this.expiring.delete(member);
      if (member.processes === 0) this.#notify(member, "leave");
    }
  }

  /** Returns the index of a name, by binary search. */
  #indexOf(name: string): number {
    let [low, high] = [0, this.#names.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#names[middle] ?? "") < name) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
