/**
 * The processes of a room, over Redis. A name is a lease that its process renews. Present members are published in
 * heartbeats; without a heartbeat, the members of a process count as absent.
 */
import { randomBytes } from "node:crypto";
import { parseId } from "../../feed/id.js";
import type { Change, ClaimResult, Cluster, LocalMembers, Session } from "../cluster.js";
import { isSameForm } from "../cluster.js";
import { StoreUnavailable } from "../store.js";
import type { Entry, Script } from "./connection.js";

/**
 * How long a renewal may take in a busy process. A lease is so much longer than the grace time, and after an outage log-ins
 * are refused for so long, because all processes renew their leases in this time.
 */
const RENEWAL_MS = 3_000;
/** How long a name is taken until its process confirms the log-in, which it does not if the reply is lost. */
const CLAIM_MS = 5_000;
/** How many leases one script renews, so that no script takes long. */
const MAX_RENEWED = 500;
/** Without a heartbeat for this long, the members of a process count as absent. */
const PROCESS_TTL_MS = 5_000;

type Changes = readonly (readonly [change: Change, key: string, detail: string])[];

/** What a process publishes. `from` is its id; `isAll` says whether the joins are those of all its members. */
type Heartbeat = { readonly from: string; readonly changes: Changes; readonly isAll: boolean };

export class RedisCluster implements Cluster {
  readonly #self = randomBytes(9).toString("base64url");
  /** By process, this one too: the time of its newest heartbeat, by Redis' clock, and its members. */
  readonly #processes = new Map<string, { seenAt: number; readonly members: Set<string> }>();
  #local: LocalMembers | undefined;
  /** Whether Redis may not know all sessions, and the other processes all members, of this one. */
  #isUnknown = false;
  // By `performance.now()`.
  #renewedAt = 0;
  #claimsFrom = 0;

  /** @param run runs a script. Rejects with `StoreUnavailable`, and then `resume` must follow, so nothing is kept until then */
  constructor(private readonly run: (script: Script, args: readonly unknown[]) => Promise<string[]>) {}

  join(local: LocalMembers): void {
    this.#local = local;
  }

  async claim(session: Session, replaced: string): Promise<ClaimResult> {
    if (performance.now() < this.#claimsFrom) throw new StoreUnavailable("leases are being renewed");
    const instead = isSameForm(session.id, replaced) ? "" : replaced;
    const args = [JSON.stringify(session), instead, CLAIM_MS, this.#local?.options.maxNames];
    const [text] = await this.run("claim", args);
    if (text === undefined) return "full";
    const owner: Session = JSON.parse(text);
    return isSameForm(session.id, owner.id) ? owner : "taken";
  }

  async verify(session: Session): Promise<boolean> {
    return (await this.#renew([[session, Infinity]])) === 0;
  }

  async hold(session: Session, ms: number): Promise<void> {
    await this.#renew([[session, ms]]).catch(() => {});
  }

  async publish(...change: [change: Change, key: string, detail: string]): Promise<void> {
    await this.#publish([change], false).catch(() => {});
  }

  /** Goes on after an outage: all sessions and members follow with the next heartbeat, and log-ins later. */
  resume(): void {
    // All processes get time for their next heartbeats.
    for (const process of this.#processes.values()) process.seenAt = Infinity;
    this.#isUnknown = true;
    this.#claimsFrom = performance.now() + RENEWAL_MS;
  }

  /** Renews leases, three times in a grace time, and sends a heartbeat. Rejects if Redis refuses to write. */
  async beat(): Promise<void> {
    const local = this.#local;
    if (!local) return;
    const isAll = this.#isUnknown;
    this.#isUnknown = false;
    if (isAll || performance.now() - this.#renewedAt >= local.options.grace / 3) {
      this.#renewedAt = performance.now();
      // Of the names that nobody holds, Redis only has to know that their sessions have ended.
      const leases = Array.from(local.sessions()).filter(([, ms]) => isAll || ms > 0);
      while (leases.length > 0) await this.#renew(leases.splice(0, MAX_RENEWED));
    }
    const members = isAll ? Array.from(local.present, ({ key, name }) => ["join", key, name] as const) : [];
    await this.#publish(members, isAll);
  }

  /** Applies what all processes have published, in order. */
  apply(entries: readonly Entry[]): void {
    const [local, newest] = [this.#local, entries.at(-1)];
    if (!local || !newest) return;
    for (const { id, fields } of entries) {
      if (fields.owner !== undefined) local.applyOwner(JSON.parse(fields.owner));
      if (fields.beat !== undefined) this.#applyBeat(JSON.parse(fields.beat), parseId(id)[0], local);
    }
    // This process' own heartbeats are among the entries, so the time goes on if all others are dead.
    const [now] = parseId(newest.id);
    for (const [name, process] of this.#processes) {
      process.seenAt = Math.min(process.seenAt, now);
      if (now - process.seenAt <= PROCESS_TTL_MS) continue;
      this.#processes.delete(name);
      for (const key of process.members) local.applyLeave(key, false);
    }
  }

  #applyBeat({ from, changes, isAll }: Heartbeat, seenAt: number, local: LocalMembers): void {
    const known = this.#processes.get(from);
    const members = known?.members ?? new Set();
    this.#processes.set(from, { seenAt, members });
    // A process that is new, or that others have forgotten, does not know the members of this one.
    if (!known || seenAt - known.seenAt > PROCESS_TTL_MS) this.#isUnknown = true;
    if (from === this.#self) return;
    const present = new Set(changes.map(([, key]) => key));
    const left = isAll ? Array.from(members).filter((key) => !present.has(key)) : [];
    for (const [change, key, detail] of [...left.map((key) => ["leave", key, ""] as const), ...changes]) {
      if (change === "unload") local.applyUnload(key, detail || undefined);
      else if (change === "leave") members.delete(key) && local.applyLeave(key, detail === "reload");
      else if (!members.has(key)) {
        members.add(key);
        local.applyJoin(key, detail);
      }
    }
  }

  async #publish(changes: Changes, isAll: boolean): Promise<void> {
    const heartbeat: Heartbeat = { from: this.#self, changes, isAll };
    await this.run("publish", [JSON.stringify(heartbeat)]);
  }

  /**
   * Lets sessions hold their names for `ms` milliseconds more; 0 frees a name. Returns how many of the names have other
   * owners.
   */
  async #renew(leases: readonly (readonly [session: Session, ms: number])[]): Promise<number> {
    const { grace = 0, maxNames = 0 } = this.#local?.options ?? {};
    const length = (ms: number) => ms && Math.ceil(Math.max(0, Math.min(ms, grace)) + RENEWAL_MS);
    const args = leases.map(([session, ms]) => [session, length(ms)]);
    const refused = await this.run("renew", [JSON.stringify(args), maxNames]);
    for (const owner of refused) this.#local?.applyOwner(JSON.parse(owner));
    return refused.length;
  }
}
