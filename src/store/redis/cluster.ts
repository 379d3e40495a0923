/**
 * The processes of a room, over Redis. A name is a lease that its process renews. Present members are published in
 * heartbeats; without a heartbeat, the members of a process count as absent.
 */
import { randomBytes } from "node:crypto";
import { parseId } from "../../feed/id.js";
import type { Change, ClaimResult, Cluster, LocalMembers, Session } from "../store.js";
import { StoreUnavailable } from "../store.js";
import type { Entry, Script } from "./scripts.js";

/**
 * How long a renewal may take in a busy process. A lease is longer than the grace time by this. After an outage, log-ins are
 * refused for this long, and all processes renew their leases meanwhile.
 */
const RENEWAL_MS = 3_000;
/** How long a claim holds a name. If the reply arrives, the process renews the lease; if it is lost, the name is free again. */
const CLAIM_MS = 5_000;
/** How many leases one script renews, so that no script takes long. */
const MAX_RENEWED = 500;
/** Without a heartbeat for this long, the members of a process count as absent. */
const PROCESS_TTL_MS = 5_000;

/** What a process publishes. `isAll` says whether the joins are those of all its members. */
type Heartbeat = { readonly changes: readonly Published[]; readonly isAll: boolean };
type Published = readonly [change: Change, key: string, detail: string];

export class RedisCluster implements Cluster {
  readonly #self = randomBytes(9).toString("base64url");
  /** By process, this one too: the time of its newest heartbeat, by Redis' clock, and its members. */
  readonly #processes = new Map<string, { seenAt: number; readonly members: Set<string> }>();
  #local: LocalMembers | undefined;
  /** Whether the next heartbeat sends all sessions and members, because Redis or another process may not know them. */
  #mustSendAll = false;
  // By `performance.now()`.
  #renewedAt = 0;
  #claimsFrom = 0;

  /** @param run runs a script. After a rejection with `StoreUnavailable`, `resume` must follow, which sends everything again */
  constructor(private readonly run: (script: Script, args: readonly unknown[]) => Promise<string[]>) {}

  join(local: LocalMembers): void {
    this.#local = local;
  }

  async claim(session: Session, replaced: string): Promise<ClaimResult> {
    if (performance.now() < this.#claimsFrom) throw new StoreUnavailable("leases are being renewed");
    const args = [JSON.stringify(session), replaced, CLAIM_MS, this.#local?.options.maxNames];
    const [result = ""] = await this.run("claim", args);
    return JSON.parse(result);
  }

  async verify(session: Session): Promise<boolean> {
    return (await this.#renew([[session, Infinity]])) === 0;
  }

  async hold(session: Session, ms: number): Promise<void> {
    await this.#renew([[session, ms]]).catch(() => {});
  }

  async publish(...change: Published): Promise<void> {
    await this.#renew([], { changes: [change], isAll: false }).catch(() => {});
  }

  /** Continues after an outage. The next heartbeat sends all sessions and members. Log-ins are refused for `RENEWAL_MS`. */
  resume(): void {
    // All processes get time for their next heartbeats.
    for (const other of this.#processes.values()) other.seenAt = Infinity;
    this.#mustSendAll = true;
    this.#claimsFrom = performance.now() + RENEWAL_MS;
  }

  /** Renews leases, three times in a grace time, and sends a heartbeat. Rejects if Redis refuses to write. */
  async beat(): Promise<void> {
    const local = this.#local;
    if (!local) return;
    const isAll = this.#mustSendAll;
    this.#mustSendAll = false;
    if (isAll || performance.now() - this.#renewedAt >= local.options.grace / 3) {
      this.#renewedAt = performance.now();
      // Of the names that nobody holds, Redis only has to know that their sessions have ended.
      const leases = Array.from(local.sessions()).filter(([, ms]) => isAll || ms > 0);
      while (leases.length > 0) await this.#renew(leases.splice(0, MAX_RENEWED));
    }
    const changes = isAll ? Array.from(local.present, ({ key, name }) => ["join", key, name] as const) : [];
    await this.#renew([], { changes, isAll });
  }

  /** Applies what all processes have published, in order. */
  apply(entries: readonly Entry[]): void {
    const [local, newest] = [this.#local, entries.at(-1)];
    if (!local || !newest) return;
    for (const { id, fields } of entries) {
      if (fields.owner !== undefined) local.applyOwner(JSON.parse(fields.owner));
      if (fields.beat !== undefined) this.#applyBeat(JSON.parse(fields.beat), parseId(id)[0], local);
    }
    // This process' own heartbeats are among the entries, so the newest time grows even if all others have ended.
    const [now] = parseId(newest.id);
    for (const [name, other] of this.#processes) {
      other.seenAt = Math.min(other.seenAt, now);
      if (now - other.seenAt <= PROCESS_TTL_MS) continue;
      this.#processes.delete(name);
      for (const key of other.members) local.applyLeave(key);
    }
  }

  #applyBeat({ from, changes, isAll }: Heartbeat & { from: string }, seenAt: number, local: LocalMembers) {
    const known = this.#processes.get(from);
    const members = known?.members ?? new Set();
    this.#processes.set(from, { seenAt, members });
    // A process that is new, or that others have forgotten, does not know the members of this one.
    if (!known || seenAt - known.seenAt > PROCESS_TTL_MS) this.#mustSendAll = true;
    if (from === this.#self) return;
    const leave = (key: string) => members.delete(key) && local.applyLeave(key);
    const present = new Set(changes.map(([, key]) => key));
    for (const key of isAll ? members : []) if (!present.has(key)) leave(key);
    for (const [change, key, detail] of changes) {
      if (change === "unload") local.applyUnload(key, detail || undefined);
      else if (change === "leave") leave(key);
      else if (!members.has(key)) {
        members.add(key);
        local.applyJoin(key, detail);
      }
    }
  }

  /**
   * Lets sessions hold their names for `ms` milliseconds more; 0 frees a name. Publishes a heartbeat if there is one. Returns
   * how many of the names have other owners.
   */
  async #renew(leases: readonly (readonly [Session, ms: number])[], beat?: Heartbeat): Promise<number> {
    const { grace = 0, maxNames = 0 } = this.#local?.options ?? {};
    const length = (ms: number) => ms && Math.ceil(Math.max(0, Math.min(ms, grace)) + RENEWAL_MS);
    const args = leases.map(([session, ms]) => [session, length(ms)]);
    const text = beat ? JSON.stringify({ from: this.#self, ...beat }) : "";
    const refused = await this.run("renew", [JSON.stringify(args), maxNames, text]);
    for (const owner of refused) this.#local?.applyOwner(JSON.parse(owner));
    return refused.length;
  }
}
