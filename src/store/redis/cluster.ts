/**
 * The processes of a room, over Redis. A name is a lease that its process renews. Present members are published in
 * heartbeats; without a heartbeat, the members of a process count as absent.
 */
import { randomBytes } from "node:crypto";
import { parseId } from "../../feed/id.js";
import type { LocalMembers, Session } from "../cluster.js";
import { type ClaimResult, type Cluster, FORM_ID_LENGTH } from "../cluster.js";
import { StoreUnavailable } from "../store.js";
import { DEADLINE_MS } from "./client.js";
import type { Connection, Entry } from "./connection.js";
import { PROCESS_TTL_MS, RemoteMembers } from "./presence.js";

/** How much longer than the grace time a lease is, because the process that renews it may be busy. */
const LEASE_MARGIN_MS = 3_000;
/** How long log-ins are refused after a connection was lost. All processes renew their leases in this time. */
const RENEWAL_MS = 3_000;
/** How long a name is taken until its process confirms the log-in, which it does not if the reply is lost. */
const CLAIM_MS = 5_000;
/** How many leases one script renews, so that no script takes long. */
const MAX_RENEWED = 500;

/** A session that is to hold its name for `ms` milliseconds more; 0 frees the name. */
type Lease = readonly [session: Session, ms: number];

export class RedisCluster implements Cluster {
  readonly #connection: () => Connection | undefined;
  readonly #self = randomBytes(9).toString("base64url");
  readonly #remote = new RemoteMembers();
  #local: LocalMembers | undefined;
  /** Whether Redis may not know all sessions of this process. */
  #isBehind = false;
  /** Whether other processes may not know all members of this one. */
  #isUnknown = true;
  /** The newest command. When it is answered, so are those before it. */
  #sent: Promise<unknown> | undefined;
  // By `performance.now()`.
  #beatAt = 0;
  #renewedAt = 0;
  #claimsFrom = 0;

  /** @param connection returns the current connection, if there is one */
  constructor(connection: () => Connection | undefined) {
    this.#connection = connection;
  }

  join(local: LocalMembers): void {
    this.#local = local;
  }

  async claim(session: Session, instead: string): Promise<ClaimResult> {
    const connection = this.#connection();
    const { maxNames = 0 } = this.#local?.options ?? {};
    // After a connection was lost, all processes renew their leases first.
    if (!connection || performance.now() < this.#claimsFrom)
      throw new StoreUnavailable(new Error("no connection to Redis"));
    const deadline = connection.now + DEADLINE_MS;
    const args = [deadline, JSON.stringify(session), instead, CLAIM_MS, maxNames, FORM_ID_LENGTH];
    const [id, name, since] = await connection.run("claim", args).catch(unavailable);
    if (id === "taken" || id === "full") return id;
    return { key: session.key, name: String(name), id: String(id), since: Number(since) };
  }

  async verify(session: Session): Promise<boolean> {
    const connection = this.#connection();
    if (!connection) throw new StoreUnavailable(new Error("no connection to Redis"));
    return (
      (await this.#renew(connection, [[session, this.#local?.options.grace ?? 0]]).catch(unavailable)) === 0
    );
  }

  hold(session: Session, ms: number): void {
    this.#run((connection) => this.#renew(connection, [[session, ms]]));
  }

  joined(key: string, name: string): void {
    this.#publish({ [`+${key}`]: name });
  }

  left(key: string, mayReturn: boolean): void {
    this.#publish({ [`-${key}`]: mayReturn ? "unload" : "" });
  }

  unloaded(key: string, page = ""): void {
    this.#publish({ [`x${page} ${key}`]: "" });
  }

  async flush(): Promise<void> {
    await this.#sent;
  }

  /**
   * Brings all sessions to Redis again, and all members to the other processes, on a new connection before anything else.
   * Rejects if Redis refuses to write.
   */
  async resume(connection: Connection): Promise<void> {
    this.#remote.resume(connection.now);
    this.#isUnknown = true;
    if (!this.#local) return;
    this.#claimsFrom = performance.now() + RENEWAL_MS;
    this.#isBehind = false;
    await this.#renewAll(connection, true);
  }

  /** Sends a heartbeat, and renews leases three times in a grace time. Rejects if Redis refuses to write. */
  async beat(connection: Connection): Promise<void> {
    const now = performance.now();
    // First, and small: while Redis refuses to write, more would be sent in vain.
    await connection.publish({ from: this.#self });
    if (!this.#local) return;
    if (this.#isBehind) await this.resume(connection);
    if (now - this.#renewedAt >= this.#local.options.grace / 3) await this.#renewAll(connection, false);
    // After such a pause the other processes have removed this one.
    if (this.#isUnknown || now - this.#beatAt > PROCESS_TTL_MS) {
      const members = Array.from(this.#local.present, ({ key, name }) => [`+${key}`, name]);
      this.#isUnknown = false;
      this.#publish({ all: "", ...Object.fromEntries(members) });
    }
    this.#beatAt = now;
  }

  /** Applies what all processes have published, in order. */
  apply(entries: readonly Entry[]): void {
    const local = this.#local;
    if (!local) return;
    for (const entry of entries) {
      const { from, key, name = "", id = "", since } = entry.fields;
      if (key !== undefined) local.applyOwner({ key, name, id, since: Number(since) });
      // A process that is new does not know the members of this one.
      const isOther = from !== undefined && from !== this.#self;
      if (isOther && this.#remote.apply(entry, from, local)) this.#isUnknown = true;
    }
    // This process' own heartbeats are among the entries, so the time goes on if all others are dead.
    const newest = entries.at(-1);
    if (newest) this.#remote.removeDead(parseId(newest.id)[0], local);
  }

  /** Ends: the members may be back on another process in a moment. */
  async close(): Promise<void> {
    for (const { key } of this.#local?.present ?? []) this.left(key, true);
    await this.flush();
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
    for (const owner of refused) {
      const [key = "", name = "", id = "", since] = Array.isArray(owner) ? owner.map(String) : [];
      this.#local?.applyOwner({ key, name, id, since: Number(since) });
    }
    return refused.length;
  }

  #publish(changes: Record<string, string>): void {
    this.#run((connection) => connection.publish({ from: this.#self, ...changes }));
  }

  /** Runs a command. If it fails, all is sent again later, so that nothing has to be kept until then. */
  #run(command: (connection: Connection) => Promise<unknown>): void {
    const connection = this.#connection();
    if (!connection) return;
    this.#sent = command(connection).catch(() => {
      this.#isBehind = true;
    });
  }
}

function unavailable(error: unknown): never {
  throw new StoreUnavailable(error);
}
