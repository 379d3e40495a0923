/**
 * Members: the owners of names. A name belongs to the session that took it last; the sessions before it have ended. The
 * records are in memory. After a restart, the first session that comes owns its name again, until a newer one comes.
 */
import { type ClaimResult, isSameForm, type LocalMembers, type Session } from "../store/store.js";
import { Presence } from "./presence.js";
import { type Awaitable, chain } from "./shared.js";

export class Members extends Presence implements LocalMembers {
  /**
   * Takes a name for a new session. Returns the session that owns the name then: the earlier one, if both came from one
   * form. Rejects with `StoreUnavailable`, as `Cluster.claim` does.
   * @param replaced the id of the owner's session that the new one replaces; empty: none
   */
  async claim(session: Session, replaced = ""): Promise<ClaimResult> {
    const claimed =
      (await this.options.store.cluster?.claim(session, replaced)) ?? this.#claim(session, replaced);
    if (typeof claimed !== "string") {
      this.applyOwner(claimed);
      this.hold(claimed);
    }
    return claimed;
  }

  /**
   * Returns whether a session owns its name. A valid session that is newer than the owner becomes the owner. With a cluster, a
   * session that is new to this process is looked up there, and the result is a promise, which rejects with
   * `StoreUnavailable`.
   */
  owns(session: Session): Awaitable<boolean> {
    const member = this.records.get(session.key);
    if (member?.sessionId === session.id) return true;
    // An older session has ended. A name without a record needs a new one.
    if (member ? session.since <= member.since : !this.makeRoom()) return false;
    return chain(this.options.store.cluster?.verify(session) ?? true, (isValid) => {
      if (isValid) this.applyOwner(session);
      return isValid && this.records.get(session.key)?.sessionId === session.id;
    });
  }

  /** Holds the name for the grace time, or for `ms` milliseconds, after a log-in or a post. */
  hold(session: Session, ms = this.options.grace): void {
    const member = this.records.get(session.key);
    if (member?.sessionId !== session.id) return;
    member.expiry = performance.now() + ms;
    if (session.id !== "") void this.options.store.cluster?.hold(session, ms);
  }

  /**
   * Cancels the polls of a closed page. Without a page, it cancels all polls of the member, and the member is absent.
   * Resolves when the store has it; the other processes apply it soon after. Never rejects.
   */
  async unload(session: Session, page?: string): Promise<void> {
    this.applyUnload(session.key, page);
    if (page === undefined) this.hold(session, 0);
    await this.options.store.cluster?.publish("unload", session.key, page ?? "");
  }

  /**
   * Ends a session: its name is free and its cookie is invalid. Resolves when the store has it; the other processes apply it
   * soon after. Never rejects.
   */
  async logout(session: Session): Promise<void> {
    const member = this.records.get(session.key);
    if (member?.sessionId !== session.id) return;
    const ended = { ...session, id: "", since: Math.max(Date.now(), member.since + 1) };
    this.applyOwner(ended);
    await this.options.store.cluster?.hold(ended, 0);
  }

  // The following two methods are described in `LocalMembers`.

  *sessions(): Iterable<readonly [session: Session, ms: number]> {
    const now = performance.now();
    for (const { key, name, sessionId: id, since, polls, expiry } of this.records.values()) {
      if (since === 0) continue;
      const ms = polls.length > 0 ? Number.POSITIVE_INFINITY : expiry - now;
      yield [{ key, name, id, since }, id === "" ? 0 : ms];
    }
  }

  applyOwner({ key, name, id, since }: Session): void {
    const member = this.get(key, name);
    if (since < member.since) return;
    // The polls of the replaced session end.
    if (member.sessionId !== id) for (const poll of [...member.polls]) this.feed.cancel(poll);
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
}
