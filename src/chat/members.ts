/**
 * Members: the owners of names. A name belongs to the session that took it last; the sessions before it have ended. The
 * records are in memory. After a restart, the first session that comes owns its name again, until a newer one comes.
 */
import { type ClaimResult, isSameForm, type LocalMembers, type Session } from "../store/cluster.js";
import { Presence } from "./presence.js";

export class Members extends Presence implements LocalMembers {
  /**
   * Takes a name for a new session. Returns the session that owns the name then: the earlier one, if both came from one
   * form. Rejects with `StoreUnavailable`; then the name is as before.
   * @param replaced the id of the owner's session that the new one replaces; empty: none
   */
  async claim(session: Session, replaced = ""): Promise<ClaimResult> {
    const claimed = (await this.cluster?.claim(session, replaced)) ?? this.#claim(session, replaced);
    if (typeof claimed !== "string") {
      this.applyOwner(claimed);
      this.hold(claimed);
    }
    return claimed;
  }

  /**
   * Returns whether a session owns its name. With a cluster, a session that is new to this process is looked up there, and
   * the result is a promise, which rejects with `StoreUnavailable`.
   */
  owns(session: Session): boolean | Promise<boolean> {
    const member = this.records.get(session.key);
    if (member?.sessionId === session.id) return true;
    if (member && session.since <= member.since) return false;
    const own = this.cluster?.verify(session);
    return own ? own.then((isValid) => isValid && this.#take(session)) : this.#take(session);
  }

  /** Holds the name for the grace time, or for `ms` milliseconds, after a log-in or a post. */
  hold(session: Session, ms = this.options.grace): void {
    const member = this.records.get(session.key);
    if (member?.sessionId !== session.id) return;
    member.expiry = performance.now() + ms;
    if (session.id !== "") void this.cluster?.hold(session, ms);
  }

  /**
   * Cancels the polls of a closed page, or, without a page, all of the member's. A member without polls is absent then.
   * Resolves when that is so on every process.
   */
  async unload(session: Session, page?: string): Promise<void> {
    this.applyUnload(session.key, page);
    // A closed page is often reloaded, and nobody may take the name in between.
    this.hold(session, page === undefined ? 0 : this.options.grace);
    await this.cluster?.publish("unload", session.key, page ?? "");
  }

  /** Ends a session: its name is free and its cookie is invalid. Resolves when that is so on every process. */
  async logout(session: Session): Promise<void> {
    const member = this.records.get(session.key);
    if (member?.sessionId !== session.id) return;
    const ended = { ...session, id: "", since: Math.max(Date.now(), member.since + 1) };
    this.applyOwner(ended);
    await this.cluster?.hold(ended, 0);
  }

  // The following two methods are described in `LocalMembers`.

  *sessions(): Iterable<readonly [session: Session, ms: number]> {
    const now = performance.now();
    for (const { key, name, sessionId: id, since, polls, expiry } of this.records.values()) {
      const ms = polls.length > 0 ? Number.POSITIVE_INFINITY : expiry - now;
      if (since > 0) yield [{ key, name, id, since }, id === "" ? 0 : ms];
    }
  }

  applyOwner({ key, name, id, since }: Session): void {
    const member = this.get(key, name);
    if (since < member.since) return;
    if (member.sessionId !== id) {
      // The polls of the replaced session end.
      for (const poll of [...member.polls]) this.feed.cancel(poll);
      if (member.sessionId !== "") this.replaced(member);
    }
    // While the name is listed, its spelling stays.
    if (member.processes === 0) member.name = name;
    member.sessionId = id;
    member.since = since;
    if (id === "") this.leave(member);
  }

  /** Takes a name on the only process, as `claim` says. */
  #claim(session: Session, replaced: string): ClaimResult {
    const owner = this.records.get(session.key);
    if (!owner) return this.makeRoom() ? session : "full";
    const isSame = isSameForm(owner.sessionId, session.id);
    if (owner.isHeld && !isSame && owner.sessionId !== replaced) return "taken";
    const since = Math.max(session.since, owner.since);
    return { ...session, ...(isSame && { name: owner.name, id: owner.sessionId }), since };
  }

  /** Makes a session the owner of its name. Returns whether it is then: all names may be held, or it is an older one. */
  #take(session: Session): boolean {
    if (!this.records.has(session.key) && !this.makeRoom()) return false;
    this.applyOwner(session);
    return this.records.get(session.key)?.sessionId === session.id;
  }
}
