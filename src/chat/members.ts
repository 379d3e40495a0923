/**
 * Members: who owns a name. A name belongs to the session that took it last; the sessions before it have ended. The
 * records are memory only: after a restart, the first session to ask gets its name back, and of two the newer one.
 */
import { type ClaimResult, isSameForm, type LocalMembers, type Session } from "../store/cluster.js";
import type { Message } from "../store/store.js";
import { clientOf, Member, type MemberPoll } from "./member.js";
import { Presence, type PresenceOptions } from "./presence.js";
import { nameKey } from "./text.js";

/** How many records are looked at to find one that may be forgotten. */
const MAX_LOOKS = 100;

export interface MembersOptions extends PresenceOptions {
  /** How many names are remembered. */
  readonly maxNames: number;
  /** Cancels a held poll. */
  readonly cancel: (poll: MemberPoll) => void;
}

export class Members {
  readonly presence: Presence;
  // Oldest first, roughly: a record that was looked at and is still needed goes to the end.
  readonly #records = new Map<string, Member>();
  readonly #options: MembersOptions;

  constructor(options: MembersOptions) {
    this.#options = options;
    this.presence = new Presence(options);
  }

  /** Starts with the join and leave notices that the store kept, and joins the cluster, if there is one. */
  start(notices: readonly Message[]): void {
    for (const notice of notices) this.presence.restore(this.#record(notice.user), notice);
    this.#options.cluster?.join(this.#local());
  }

  /**
   * Takes a name for a new session. Returns the session that owns it then: the owner's, if both came from one form.
   * Rejects with `StoreUnavailable`; then the name is as before.
   * @param instead the id of the owner's session that this one replaces
   */
  async claim(session: Session, instead = ""): Promise<ClaimResult> {
    const { cluster } = this.#options;
    if (cluster) {
      const result = await cluster.claim(session, instead);
      if (typeof result === "object") this.#applyOwner(result);
      return result;
    }
    const owner = this.#records.get(session.key);
    const isSame = owner !== undefined && isSameForm(owner.sessionId, session.id);
    if (owner?.isHeld && !isSame && owner.sessionId !== instead) return "taken";
    const { key, name, id } = isSame ? { ...session, name: owner.name, id: owner.sessionId } : session;
    const claimed = { key, name, id, since: Math.max(session.since, owner?.since ?? 0) };
    return this.setOwner(claimed) ? claimed : "full";
  }

  /**
   * Returns whether a session owns its name. With a cluster, a session that is new to this process is looked up there,
   * and the result is a promise, which rejects with `StoreUnavailable`.
   */
  owns(session: Session): boolean | Promise<boolean> {
    if (this.#records.get(session.key)?.sessionId === session.id) return true;
    if (!this.mayOwn(session)) return false;
    const { cluster } = this.#options;
    if (!cluster) return this.setOwner(session);
    return cluster.verify(session).then((isValid) => isValid && this.setOwner(session));
  }

  /** Returns whether a session owns its name, or may take it again, as far as this process knows. Changes nothing. */
  mayOwn({ key, id, since }: Session): boolean {
    const member = this.#records.get(key);
    return !member || member.sessionId === id || since > member.since;
  }

  /** Returns the record of a name. */
  get({ key, name }: { readonly key: string; readonly name: string }): Member {
    const known = this.#records.get(key);
    if (known) return known;
    // If all records are needed, the bound is exceeded: this one is needed, too.
    this.#makeRoom();
    const member = new Member(key, name);
    this.#records.set(key, member);
    return member;
  }

  /** Holds the name for the grace time, or for some milliseconds, after a log-in or a post. */
  hold(session: Session, ms = this.#options.grace): void {
    const member = this.#records.get(session.key);
    if (member?.sessionId !== session.id) return;
    member.heldUntil = performance.now() + ms;
    this.#options.cluster?.hold(session, ms);
  }

  /** Returns the member with the most held polls. Looks at all: it is for a feed that is full. */
  heaviest(): Member | undefined {
    let heaviest: Member | undefined;
    for (const member of this.presence.local()) {
      if (member.pollCount > (heaviest?.pollCount ?? 0)) heaviest = member;
    }
    return heaviest;
  }

  /**
   * Cancels the polls of a page that is closed, or, without one, all of the member's. A member without polls is not
   * present any more. Resolves when that is so on every process.
   */
  async unload(session: Session, page?: string): Promise<void> {
    const { cluster } = this.#options;
    const member = this.get(session);
    // A closed page is often reloaded, and the name must not be free in between.
    this.hold(session, page === undefined ? 0 : undefined);
    this.#unload(member, page);
    cluster?.unloaded(member.key, page);
    await cluster?.flush();
  }

  /** Ends a session: the name is free, and the cookie is worth nothing. Resolves when that is so on every process. */
  async logout(session: Session): Promise<void> {
    const member = this.#records.get(session.key);
    if (member?.sessionId !== session.id) return;
    const { cluster } = this.#options;
    this.#applyOwner({ ...session, id: "", since: Math.max(Date.now(), session.since) });
    cluster?.end(session);
    await cluster?.flush();
  }

  /** Remembers the newest notice of a member, by which all processes agree on the next one. */
  noticed(notice: Message): Member {
    const member = this.#record(notice.user);
    member.lastNotice = notice;
    return member;
  }

  #record(name: string): Member {
    return this.get({ key: nameKey(name), name });
  }

  /** Sets the owner of a name. Returns false if there are too many names, all of them held. */
  setOwner(session: Session): boolean {
    if (!this.#records.has(session.key) && !this.#makeRoom()) return false;
    this.#applyOwner(session);
    return true;
  }

  #applyOwner(session: Session): void {
    const { name, id, since } = session;
    const member = this.get(session);
    // The polls of the session before it must not go on.
    if (member.sessionId !== id) for (const poll of member.polls()) this.#options.cancel(poll);
    this.presence.rename(member, name);
    member.sessionId = id;
    member.since = Math.max(since, member.since);
    member.heldUntil = id === "" ? 0 : performance.now() + this.#options.grace;
    if (id === "" && since > 0) this.presence.leave(member, "logout");
  }

  #unload(member: Member, page: string | undefined): void {
    const client = page === undefined ? undefined : clientOf(member, page);
    for (const poll of member.polls()) {
      if (client === undefined || poll.client === client) this.#options.cancel(poll);
    }
    if (member.pollCount === 0) this.presence.leave(member, "unload");
  }

  /** Forgets a name that nobody holds, if there are too many. Its old cookies are valid again then. */
  #makeRoom(): boolean {
    if (this.#records.size < this.#options.maxNames) return true;
    let looks = 0;
    for (const [key, member] of this.#records) {
      this.#records.delete(key);
      if (!member.isHeld && !this.presence.needs(member)) return true;
      this.#records.set(key, member);
      if (++looks === MAX_LOOKS) break;
    }
    return false;
  }

  /** What the cluster sees and does. */
  #local(): LocalMembers {
    const { grace, maxNames } = this.#options;
    return {
      grace,
      maxNames,
      held: () => this.#held(),
      present: () => this.presence.local(),
      applyOwner: (session) => {
        if (session.since >= (this.#records.get(session.key)?.since ?? 0)) this.#applyOwner(session);
      },
      applyJoin: (key, name) => this.presence.applyJoin(this.get({ key, name })),
      applyLeave: (key, reason) => this.presence.applyLeave(this.get({ key, name: key }), reason),
      applyUnload: (key, page) => this.#unload(this.get({ key, name: key }), page),
    };
  }

  *#held(): Iterable<readonly [session: Session, ms: number]> {
    const now = performance.now();
    for (const { key, name, sessionId: id, since, pollCount, heldUntil } of this.#records.values()) {
      const ms = pollCount > 0 ? Number.POSITIVE_INFINITY : heldUntil - now;
      if (id !== "" && ms > 0) yield [{ key, name, id, since }, ms];
    }
  }
}
