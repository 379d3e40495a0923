/**
 * Presence: who is here, and the join and leave notices. A member is present while a poll is held, and for the grace time
 * after the last poll or page view. With a cluster, a member is present as long as it is on one of the processes.
 */
import type { Cluster, LeaveReason } from "../store/cluster.js";
import type { Message, NewMessage } from "../store/store.js";
import type { Member, MemberPoll } from "./member.js";

/** Above this many members, no join or leave notice is written. */
const MAX_NOTICE_MEMBERS = 50;
/** A member who closes the last page and is back within this time has reloaded it: no notice is written. */
const RELOAD_MS = 5_000;
const SWEEP_MIN_MS = 10;
const SWEEP_MAX_MS = 1_000;

export interface PresenceOptions {
  /** How long a name is held, and a member is present, after the last sign of life, in milliseconds. */
  readonly grace: number;
  readonly cluster: Cluster | undefined;
  /** Writes a notice to the store. Must not throw. */
  readonly notify: (notice: NewMessage) => void;
  /** Called when the number of present members has changed. */
  readonly onChange: () => void;
}

export class Presence {
  /** The members that the sweep looks at: present on this process, or with a leave notice that is due. */
  readonly #expiring = new Set<Member>();
  /** The names of the present members, in order. */
  readonly #names: string[] = [];
  readonly #options: PresenceOptions;
  readonly #timer: NodeJS.Timeout;
  #isStopped = false;

  constructor(options: PresenceOptions) {
    this.#options = options;
    const sweepMs = Math.max(SWEEP_MIN_MS, Math.min(SWEEP_MAX_MS, options.grace / 10));
    this.#timer = setInterval(() => this.#sweep(), sweepMs).unref();
  }

  /** The names of the present members, on any process, in the order of their UTF-16 code units. */
  get names(): readonly string[] {
    return this.#names;
  }

  /** Lists the members who are present on this process. */
  local(): Member[] {
    return [...this.#expiring].filter(({ isLocal }) => isLocal);
  }

  /** Whether the sweep still needs a record. */
  needs(member: Member): boolean {
    return this.#expiring.has(member);
  }

  /** Makes a member present for the grace time, after a page view or a poll that was answered at once. */
  touch(member: Member): void {
    member.presentUntil = performance.now() + this.#options.grace;
    if (!member.isLocal) this.#join(member);
  }

  /** Makes a member present while a poll is held. */
  addPoll(member: Member, poll: MemberPoll): void {
    member.addPoll(poll);
    if (!member.isLocal) this.#join(member);
  }

  /** Removes a poll that is not held any more. Its member is present for the grace time. */
  removePoll(member: Member, poll: MemberPoll): void {
    member.removePoll(poll);
    // A member that has left meanwhile has no grace time.
    if (member.isLocal) member.presentUntil = performance.now() + this.#options.grace;
  }

  /** Makes a member absent on this process. */
  leave(member: Member, reason: LeaveReason): void {
    if (!member.isLocal) return;
    member.isLocal = false;
    this.#expiring.delete(member);
    this.#options.cluster?.left(member.key, reason);
    this.applyLeave(member, reason);
  }

  /** Counts one more process on which a member is present. */
  applyJoin(member: Member): void {
    if (member.processes++ > 0) return;
    this.#names.splice(this.#indexOf(member.name), 0, member.name);
    this.#options.onChange();
    member.leaveNoticeAt = Number.POSITIVE_INFINITY;
    this.#notify(member, "join");
  }

  /** Counts one process less. */
  applyLeave(member: Member, reason: LeaveReason): void {
    if (member.processes === 0 || --member.processes > 0) return;
    this.#names.splice(this.#indexOf(member.name), 1);
    this.#options.onChange();
    if (reason === "unload") this.#noticeLeaveIn(RELOAD_MS, member);
    else this.#notify(member, "leave");
  }

  /** Applies a notice from before a restart. A member who does not come back within the grace time has left. */
  restore(member: Member, notice: Message): void {
    member.lastNotice = notice;
    if (notice.kind === "join") this.#noticeLeaveIn(this.#options.grace, member);
    else member.leaveNoticeAt = Number.POSITIVE_INFINITY;
  }

  /** Shows a member under the spelling of a new owner. */
  rename(member: Member, name: string): void {
    if (member.processes > 0) {
      this.#names.splice(this.#indexOf(member.name), 1);
      this.#names.splice(this.#indexOf(name), 0, name);
    }
    member.name = name;
  }

  /** Stops the sweep. No notice is written any more. */
  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
  }

  #join(member: Member): void {
    member.isLocal = true;
    this.#expiring.add(member);
    this.#options.cluster?.joined(member.key, member.name);
    this.applyJoin(member);
  }

  #noticeLeaveIn(ms: number, member: Member): void {
    member.leaveNoticeAt = performance.now() + ms;
    this.#expiring.add(member);
  }

  /**
   * Writes a notice, unless the newest one says the same. The idempotency key names the notice before it, so that of
   * several processes that see the same change one succeeds.
   */
  #notify(member: Member, kind: "join" | "leave"): void {
    const { name, lastNotice } = member;
    if (this.#isStopped || lastNotice?.kind === kind || this.#names.length > MAX_NOTICE_MEMBERS) return;
    const key = `${kind} after ${lastNotice?.id ?? "0"}`;
    member.lastNotice = { id: key, kind };
    this.#options.notify({ user: name, text: "", kind, key });
  }

  #sweep(): void {
    const now = performance.now();
    for (const member of this.#expiring) {
      if (member.isLocal && member.pollCount === 0 && member.presentUntil <= now)
        this.leave(member, "timeout");
      if (member.leaveNoticeAt > now) continue;
      member.leaveNoticeAt = Number.POSITIVE_INFINITY;
      if (!member.isLocal) this.#expiring.delete(member);
      if (member.processes === 0) this.#notify(member, "leave");
    }
  }

  /** Finds the place of a name, by binary search. */
  #indexOf(name: string): number {
    let low = 0;
    let high = this.#names.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#names[middle] ?? "") < name) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
