/**
 * The processes of a room, over Redis. A name is a lease that its process renews. Present members are published in
 * heartbeats; without a heartbeat, the members of a process count as absent.
 */
import { randomBytes } from "node:crypto";
import { parseId } from "../../feed/id.js";
import type { Change, LocalMembers, Session } from "../cluster.js";
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
  readonly #self = randomBytes(9).toString("base64url");
  readonly #remote = new RemoteMembers();
  #local: LocalMembers | undefined;
  /** Whether Redis may not know all sessions, and the other processes all members, of this one. */
  #isUnknown = false;
  // By `performance.now()`.
  #renewedAt = 0;
  #claimsFrom = 0;

  /**
   * @param connection returns the current connection, if there is one
   * @param failed called when something could not be written; `resume` must follow, so that nothing has to be kept until then
   */
  constructor(
    private readonly connection: () => Connection | undefined,
    private readonly failed: (error: unknown) => unknown,
  ) {}

  join(local: LocalMembers): void {
    this.#local = local;
  }

  async claim(session: Session, replaced: string): Promise<ClaimResult> {
    const [connection, local] = [this.connection(), this.#local];
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
    const connection = this.connection();
    if (!connection) return unavailable("no connection to Redis");
    return (await this.#renew(connection, [[session, Infinity]]).catch(unavailable)) === 0;
  }

  async hold(session: Session, ms: number): Promise<void> {
    await this.#run((connection) => this.#renew(connection, [[session, ms]]));
  }

  async publish(change: Change, key: string, detail: string): Promise<void> {
    const fields = { from: this.#self, [`${change} ${key}`]: detail };
    await this.#run((connection) => connection.publish(fields));
  }

  /** Goes on after an outage: all sessions and members follow with the next heartbeat, and log-ins later. */
  resume(): void {
    this.#remote.resume();
    this.#isUnknown = true;
    this.#claimsFrom = performance.now() + RENEWAL_MS;
  }

  /** Renews leases, three times in a grace time, and sends a heartbeat. Rejects if Redis refuses to write. */
  async beat(connection: Connection): Promise<void> {
    const local = this.#local;
    if (!local) return;
    const isAll = this.#isUnknown;
    this.#isUnknown = false;
    if (isAll || performance.now() - this.#renewedAt >= local.options.grace / 3) {
      this.#renewedAt = performance.now();
      // Of the names that nobody holds, Redis only has to know that their sessions have ended.
      const leases = Array.from(local.sessions()).filter(([, ms]) => isAll || ms > 0);
      while (leases.length > 0) await this.#renew(connection, leases.splice(0, MAX_RENEWED));
    }
    const members = isAll ? Array.from(local.present, ({ key, name }) => [`join ${key}`, name]) : [];
    await connection.publish({ from: this.#self, ...(isAll && { all: "" }), ...Object.fromEntries(members) });
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

  /** Returns how many leases could not be renewed, because their names have other owners. */
  async #renew(connection: Connection, leases: readonly Lease[]): Promise<number> {
    const { grace = 0, maxNames = 0 } = this.#local?.options ?? {};
    const length = (ms: number) => ms && Math.ceil(Math.max(0, Math.min(ms, grace)) + LEASE_MARGIN_MS);
    const args = leases.map(([session, ms]) => [session, length(ms)]);
    const refused = await connection.run("renew", [JSON.stringify(args), maxNames]);
    for (const owner of refused) this.#local?.applyOwner(toSession(owner));
    return refused.length;
  }

  /** Runs a command. Never rejects: if it cannot run, everything is sent again later. */
  async #run(command: (connection: Connection) => Promise<unknown>): Promise<void> {
    const connection = this.connection();
    if (connection) await command(connection).catch(this.failed);
    else this.#isUnknown = true;
  }
}

function unavailable(reason: unknown): never {
  throw new StoreUnavailable(reason);
}

/** Reads a session that a process wrote to Redis. */
function toSession(json: string): Session {
  return JSON.parse(json);
}
