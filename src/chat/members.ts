/**
 * Members: who owns which name. A name belongs to the session that took it last; the sessions before it have ended. The
 * records are in memory: after a restart, the first session that comes gets its name back, and of two the newer one.
 */
import { type ClaimResult, isSameForm, type LocalMembers, type Session } from "../store/cluster.js";
import type { Message } from "../store/store.js";
import { Member } from "./member.js";
import { Presence, type PresenceOptions } from "./presence.js";

/** How many records are checked to find one that may be forgotten. */
const MAX_CHECKED = 100;

export interface MembersOptions extends PresenceOptions {
  /** How many names are remembered. */
  readonly maxNames: number;
}

export class Members extends Presence implements LocalMembers {
  readonly maxNames: number;
  // Roughly by age: `#makeRoom` moves a record that is still needed to the end.
  readonly #records = new Map<string, Member>();

  constructor(options: MembersOptions) {
    super(options);
    this.maxNames = options.maxNames;
  }

  /** Starts with the kept notices, and joins the cluster. A member who does not return within the grace time has left. */
  start(notices: readonly Message[]): void {
    for (const notice of notices) this.noticeLeaveIn(this.grace, this.noticed(notice));
    this.options.cluster?.join(this);
  }

  get(key: string, name = key): Member {
    const known = this.#records.get(key);
    if (known) return known;
    // If all records are needed, the bound is exceeded, because this one is needed too.
    this.#makeRoom();
    const member = new Member(key, name);
    this.#records.set(key, member);
    return member;
  }

  /**
   * Takes a name for a new session. Returns the session that owns the name then: the earlier one, if both came from one
   * form. Rejects with `StoreUnavailable`; then the name is as before.
   * @param replaced the id of the owner's session that the new one replaces; empty: none
   */
  async claim(session: Session, replaced = ""): Promise<ClaimResult> {
    const { cluster } = this.options;
    if (cluster) {
      const result = await cluster.claim(session, replaced);
      if (typeof result === "object") this.applyOwner(result);
      return result;
    }
    const owner = this.#records.get(session.key);
    const isSame = owner !== undefined && isSameForm(owner.sessionId, session.id);
    if (owner?.isHeld && !isSame && owner.sessionId !== replaced) return "taken";
    const since = Math.max(session.since, owner?.since ?? 0);
    const claimed = { ...session, ...(isSame && { name: owner.name, id: owner.sessionId }), since };
    return this.#setOwner(claimed) ? claimed : "full";
  }

  /**
   * Returns whether a session owns its name. With a cluster, a session that is new to this process is looked up there, and
   * the result is a promise, which rejects with `StoreUnavailable`.
   */
  owns(session: Session): boolean | Promise<boolean> {
    if (this.#records.get(session.key)?.sessionId === session.id) return true;
    if (!this.mayOwn(session)) return false;
    const { cluster } = this.options;
    if (!cluster) return this.#setOwner(session);
    return cluster.verify(session).then((isValid) => isValid && this.#setOwner(session));
  }

  /** Returns whether a session owns its name or may take it again, as far as this process knows. Changes nothing. */
  mayOwn({ key, id, since }: Session): boolean {
    const member = this.#records.get(key);
    return !member || member.sessionId === id || since > member.since;
  }

  /** Holds the name for the grace time, or for `ms` milliseconds, after a log-in or a post. */
  hold(session: Session, ms = this.grace): void {
    const member = this.#records.get(session.key);
    if (member?.sessionId !== session.id) return;
    member.expiry = performance.now() + ms;
    if (session.id !== "") this.options.cluster?.hold(session, ms);
  }

  /**
   * Cancels the polls of a closed page, or, without a page, all of the member's. A member without polls is absent then.
   * Resolves when that is so on every process.
   */
  async unload(session: Session, page?: string): Promise<void> {
    const { cluster } = this.options;
    this.applyUnload(session.key, page);
    // A closed page is often reloaded, and nobody may take the name in between.
    this.hold(session, page === undefined ? 0 : this.grace);
    cluster?.unloaded(session.key, page);
    await cluster?.flush();
  }

  /** Ends a session: its name is free and its cookie is invalid. Resolves when that is so on every process. */
  async logout(session: Session): Promise<void> {
    const { cluster } = this.options;
    const member = this.#records.get(session.key);
    if (member?.sessionId !== session.id) return;
    const ended = { ...session, since: Math.max(Date.now(), member.since + 1) };
    this.applyOwner({ ...ended, id: "" });
    cluster?.end(ended);
    await cluster?.flush();
  }

  /**
   * Lists the known sessions, with an empty `id` if the newest one has ended, and for how many milliseconds they hold their
   * names: Infinity while a poll is held, 0 or less if the name is free.
   */
  *sessions(): Iterable<readonly [session: Session, ms: number]> {
    const now = performance.now();
    for (const { key, name, sessionId: id, since, pollCount, expiry } of this.#records.values()) {
      const ms = pollCount > 0 ? Number.POSITIVE_INFINITY : expiry - now;
      if (since > 0) yield [{ key, name, id, since }, id === "" ? 0 : ms];
    }
  }

  /** Applies that a session owns its name, or with an empty `id` that nobody does. An older session is ignored. */
  applyOwner({ key, name, id, since }: Session): void {
    const member = this.get(key, name);
    if (since < member.since) return;
    // The polls of the replaced session end.
    if (member.sessionId !== id) for (const poll of member.polls()) this.options.cancel(poll);
    this.rename(member, name);
    member.sessionId = id;
    member.since = since;
    if (id !== "") member.expiry = performance.now() + this.grace;
    else if (since > 0) this.leave(member, "logout");
  }

  /** Sets the owner of a name. Returns false if there are too many names, all of them held. */
  #setOwner(session: Session): boolean {
    if (!this.#records.has(session.key) && !this.#makeRoom()) return false;
    this.applyOwner(session);
    return true;
  }

  /** Forgets a name that nobody holds, if there are too many. Sessions that it had before are valid again then. */
  #makeRoom(): boolean {
    if (this.#records.size < this.maxNames) return true;
    let checked = 0;
    for (const [key, member] of this.#records) {
      this.#records.delete(key);
      if (!member.isHeld && !this.expiring.has(member)) return true;
      this.#records.set(key, member);
      if (++checked === MAX_CHECKED) break;
    }
    return false;
  }
}
