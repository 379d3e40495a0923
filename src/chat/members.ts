/**
 * Members: who owns which name. A name belongs to the session that took it last; the sessions before it have ended. The
 * records are in memory: after a restart, the first session that comes gets its name back, and of two the newer one.
 */
import {
  type ClaimResult,
  type Cluster,
  isSameForm,
  type LocalMembers,
  type Session,
} from "../store/cluster.js";
import { Member } from "./member.js";
import { type MembersHost, Presence } from "./presence.js";

/** How many records are checked to find one that may be forgotten. */
const MAX_CHECKED = 100;

export class Members extends Presence implements LocalMembers {
  // Roughly by age: `#makeRoom` moves a record that is still needed to the end.
  readonly #records = new Map<string, Member>();

  /** @param maxNames how many names are remembered */
  constructor(
    grace: number,
    readonly maxNames: number,
    cluster: Cluster | undefined,
    host: MembersHost,
  ) {
    super(grace, cluster, host);
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
    const { cluster } = this;
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
    const { cluster } = this;
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
    if (session.id !== "") this.cluster?.hold(session, ms);
  }

  /**
   * Cancels the polls of a closed page, or, without a page, all of the member's. A member without polls is absent then.
   * Resolves when that is so on every process.
   */
  async unload(session: Session, page?: string): Promise<void> {
    const { cluster } = this;
    this.applyUnload(session.key, page);
    // A closed page is often reloaded, and nobody may take the name in between.
    this.hold(session, page === undefined ? 0 : this.grace);
    cluster?.unloaded(session.key, page);
    await cluster?.flush();
  }

  /** Ends a session: its name is free and its cookie is invalid. Resolves when that is so on every process. */
  async logout(session: Session): Promise<void> {
    const { cluster } = this;
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
    for (const { key, name, sessionId: id, since, polls, expiry } of this.#records.values()) {
      const ms = polls.length > 0 ? Number.POSITIVE_INFINITY : expiry - now;
      if (since > 0) yield [{ key, name, id, since }, id === "" ? 0 : ms];
    }
  }

  /** Applies that a session owns its name, or with an empty `id` that nobody does. An older session is ignored. */
  applyOwner({ key, name, id, since }: Session): void {
    const member = this.get(key, name);
    if (since < member.since) return;
    // The polls of the replaced session end.
    if (member.sessionId !== id) for (const poll of [...member.polls]) this.host.cancel(poll);
    this.rename(member, name);
    member.sessionId = id;
    member.since = since;
    if (id !== "") member.expiry = performance.now() + this.grace;
    else if (since > 0) this.leave(member, "logout");
  }

  /** Sets the owner of a name. Returns whether the session owns it then: all names may be held, or a newer session has it. */
  #setOwner(session: Session): boolean {
    if (!this.#records.has(session.key) && !this.#makeRoom()) return false;
    this.applyOwner(session);
    return this.#records.get(session.key)?.sessionId === session.id;
  }

  /** Forgets a name that nobody holds, if there are too many. Sessions that it had before are valid again then. */
  #makeRoom(): boolean {
    if (this.#records.size < this.maxNames) return true;
    let checked = 0;
    for (const [key, member] of this.#records) {
      this.#records.delete(key);
      if (!member.isHeld && member.processes === 0 && !this.expiring.has(member)) return true;
      this.#records.set(key, member);
      if (++checked === MAX_CHECKED) break;
    }
    return false;
  }
}
