/**
 * The processes of a room, over Redis. A name is a lease that its process renews. Present members are published in
 * heartbeats; without a heartbeat, the members of a process count as absent.
 */
import { randomBytes } from "node:crypto";
import { parseId } from "../../feed/id.js";
import type { LocalMembers, Session } from "../cluster.js";
import { type ClaimResult, type Cluster, isSameForm } from "../cluster.js";
import { StoreUnavailable } from "../store.js";
import { type Connection, DEADLINE_MS, type Entry } from "./connection.js";
import { RemoteMembers } from "./presence.js";

/** How much longer than the grace time a lease is, because the process that renews it may be busy. */
const LEASE_MARGIN_MS = 3_000;
/** How long log-ins are refused after an outage. All processes renew their leases in this time. */
const RENEWAL_MS = 3_000;
/** How long a name is taken until its process confirms the log-in, which it does not if the reply is lost. */
const CLAIM_MS = 5_000;
/** How many leases one script renews, so that no script takes long. */
const MAX_RENEWED = 500;

/** A session that is to hold its name for `ms` milliseconds more; 0 frees the name. */
type Lease = readonly [session: Session, ms: number];

export class RedisCluster implements Cluster {
  readonly #connection: () => Connection | undefined;
  readonly #failed: (error: unknown) => unknown;
  readonly #self = randomBytes(9).toString("base64url");
  readonly #remote = new RemoteMembers();
  #local: LocalMembers | undefined;
  /** Whether other processes may not know all members of this one. */
  #isUnknown = false;
  // By `performance.now()`.
  #renewedAt = 0;
  #claimsFrom = 0;

  /**
   * @param connection returns the current connection, if there is one
   * @param failed called when something could not be written; `resume` must follow, so that nothing has to be kept until then
   */
  constructor(connection: () => Connection | undefined, failed: (error: unknown) => unknown) {
    this.#connection = connection;
    this.#failed = failed;
  }

  join(local: LocalMembers): void {
    this.#local = local;
  }

  async claim(session: Session, replaced: string): Promise<ClaimResult> {
    const [connection, local] = [this.#connection(), this.#local];
    const isEarly = performance.now() < this.#claimsFrom;
    if (!connection || !local || isEarly) return unavailable("no connection to Redis");
    const instead = isSameForm(session.id, replaced) ? "" : replaced;
    const args = [JSON.stringify(session), instead, CLAIM_MS, local.options.maxNames];
    const until = performance.now() + DEADLINE_MS;
    const [text] = await connection.run("claim", args, until).catch(unavailable);
    if (text === undefined) return "full";
    const owner = toSession(text);
    return isSameForm(session.id, owner.id) ? owner : "taken";
  }

  async verify(session: Session): Promise<boolean> {
    const connection = this.#connection();
    if (!connection) return unavailable("no connection to Redis");
    return (await this.#renew(connection, [[session, Infinity]]).catch(unavailable)) === 0;
  }

  async hold(session: Session, ms: number): Promise<void> {
    await this.#run((connection) => this.#renew(connection, [[session, ms]]));
  }

  joined(key: string, name: string): void {
    void this.#publish(`+${key}`, name);
  }

  async left(key: string, mayReturn: boolean): Promise<void> {
    await this.#publish(`-${key}`, mayReturn ? "reload" : "");
  }

  async unloaded(key: string, page = ""): Promise<void> {
    await this.#publish(`x${key}`, page);
  }

  /**
   * Brings all sessions to Redis again, after an outage and before anything else. All members follow with the next heartbeat.
   * Rejects if Redis refuses to write.
   */
  async resume(connection: Connection): Promise<void> {
    this.#remote.resume(connection.now);
    this.#isUnknown = true;
    if (!this.#local) return;
    this.#claimsFrom = performance.now() + RENEWAL_MS;
    await this.#renewAll(connection, true);
  }

  /** Sends a heartbeat, and renews leases three times in a grace time. Rejects if Redis refuses to write. */
  async beat(connection: Connection): Promise<void> {
    const local = this.#local;
    if (!local) return;
    const fields: Record<string, string> = { from: this.#self };
    if (this.#isUnknown) {
      fields.all = "";
      for (const { key, name } of local.present) fields[`+${key}`] = name;
      this.#isUnknown = false;
    }
    await connection.publish(fields);
    if (performance.now() - this.#renewedAt >= local.options.grace / 3)
      await this.#renewAll(connection, false);
  }

  /** Applies what all processes have published, in order. */
  apply(entries: readonly Entry[]): void {
    const local = this.#local;
    if (!local) return;
    for (const entry of entries) {
      const { from, owner } = entry.fields;
      if (owner !== undefined) local.applyOwner(toSession(owner));
      if (from === undefined) continue;
      // A process that is new does not know the members of this one.
      if (this.#remote.apply(entry, from, from === this.#self ? undefined : local)) this.#isUnknown = true;
    }
    // This process' own heartbeats are among the entries, so the time goes on if all others are dead.
    const newest = entries.at(-1);
    if (newest) this.#remote.removeDead(parseId(newest.id)[0], local);
  }

  /** Ends: the members may be back on another process in a moment. */
  async close(): Promise<void> {
    await Promise.all(Array.from(this.#local?.present ?? [], ({ key }) => this.left(key, true)));
  }

  /** Renews the leases of the names that are held, or of all, so that Redis also knows which sessions have ended. */
  async #renewAll(connection: Connection, isAll: boolean): Promise<void> {
    this.#renewedAt = performance.now();
    const leases = Array.from(this.#local?.sessions() ?? []).filter(([, ms]) => isAll || ms > 0);
    while (leases.length > 0) await this.#renew(connection, leases.splice(0, MAX_RENEWED));
  }

  /** Returns how many leases could not be renewed, because their names have other owners. */
  async #renew(connection: Connection, leases: readonly Lease[]): Promise<number> {
    const { grace = 0, maxNames = 0 } = this.#local?.options ?? {};
    const length = (ms: number) => ms && Math.ceil(Math.max(0, Math.min(ms, grace)) + LEASE_MARGIN_MS);
    const args = leases.map(([session, ms]) => [session, length(ms)]);
    const refused = await connection.run("renew", [JSON.stringify(args), maxNames]);
    for (const owner of refused) this.#local?.applyOwner(toSession(owner));
    return refused.length;
  }

  #publish(change: string, value: string): Promise<void> {
    return this.#run((connection) => connection.publish({ from: this.#self, [change]: value }));
  }

  /** Runs a command. Never rejects: if it fails, everything is sent again later. */
  async #run(command: (connection: Connection) => Promise<unknown>): Promise<void> {
    const connection = this.#connection();
    if (connection) await command(connection).catch(this.#failed);
  }
}

function unavailable(reason: unknown): never {
  throw new StoreUnavailable(reason);
}

/** Reads a session that a process wrote to Redis. */
function toSession(json: string): Session {
  return JSON.parse(json);
}
