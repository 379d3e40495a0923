/**
 * The processes of a room, over Redis. A name is a lease that its process renews. Each process keeps a set of its present
 * members, sends a heartbeat, and publishes changes on one stream; without a heartbeat, its members count as absent.
 */
import { randomBytes } from "node:crypto";
import {
  type ClaimResult,
  type Cluster,
  FORM_ID_LENGTH,
  type LeaveReason,
  type LocalMembers,
  type Session,
} from "../cluster.js";
import { StoreUnavailable } from "../store.js";
import { RemoteMembers } from "./changes.js";
import { REPLY_MARGIN_MS, TIMEOUT_MS } from "./client.js";
import type { Connection } from "./connection.js";

const HEARTBEAT_MS = 1_000;
/** Without a heartbeat for this long, the members of a process count as absent. */
const PROCESS_TTL_MS = 5_000;
/** How much longer than the grace time a lease is: until it is renewed, and some time for a busy process. */
const LEASE_MARGIN_MS = 3_000;
/** The shortest time between two heartbeats, for small grace times. */
const HEARTBEAT_MIN_MS = 20;

/** A session that ended, and the id of the one that owns the name now; empty: nobody. */
interface Ended {
  readonly session: Session;
  readonly heir: string;
  readonly since: number;
}

export class RedisCluster implements Cluster {
  readonly remote = new RemoteMembers(randomBytes(9).toString("base64url"));
  readonly #connection: () => Connection | undefined;
  readonly #onSecrets: (secrets: readonly string[], signing: string) => void;
  #local: LocalMembers | undefined;
  #timer: NodeJS.Timeout | undefined;
  // What is to be sent: the newest state of each member and lease, so an outage does not make it grow.
  #reset = true;
  #members = new Map<string, readonly [name: string, reason: LeaveReason | undefined]>();
  #leases = new Map<string, readonly [session: Session, ms: number]>();
  #ended = new Map<string, Ended>();
  #unloaded: (readonly [key: string, page: string | undefined])[] = [];
  #isScheduled = false;
  #sending: Promise<boolean> = Promise.resolve(true);
  #renewedAt = Number.NEGATIVE_INFINITY;
  /** After an outage that was longer than a lease, the other processes renew theirs first. */
  #claimsFrom = Number.NEGATIVE_INFINITY;

  /**
   * @param connection returns the current connection, if there is one
   * @param onSecrets called with all accepted secrets and the one that signs
   */
  constructor(
    connection: () => Connection | undefined,
    onSecrets: (secrets: readonly string[], signing: string) => void,
  ) {
    this.#connection = connection;
    this.#onSecrets = onSecrets;
  }

  join(local: LocalMembers): void {
    this.#local = local;
    this.remote.join(local);
    const ms = Math.max(HEARTBEAT_MIN_MS, Math.min(HEARTBEAT_MS, local.grace / 3));
    this.#timer = setInterval(() => void this.#send(), ms).unref();
    void this.#send();
  }

  async claim(session: Session, instead: string): Promise<ClaimResult> {
    const connection = this.#connection();
    const local = this.#local;
    if (!connection || !local || performance.now() < this.#claimsFrom) {
      throw new StoreUnavailable(new Error("no connection to Redis"));
    }
    // In this order: a member who has just left counts.
    void this.flush();
    try {
      const deadline = Math.floor(connection.now + TIMEOUT_MS - REPLY_MARGIN_MS);
      const args = [deadline, JSON.stringify(session), instead, local.grace, local.maxNames, FORM_ID_LENGTH];
      const result = await connection.run("claim", args);
      if (result === "taken" || result === "full") return result;
      if (typeof result === "string") return { ...session, ...JSON.parse(result) };
      throw new Error("Redis was too slow");
    } catch (error) {
      // The name may be taken all the same. The caller is refused, so it must not stay so.
      this.#ended.set(session.id, { session, heir: instead, since: session.since });
      throw new StoreUnavailable(error);
    }
  }

  async verify(session: Session): Promise<boolean> {
    const connection = this.#connection();
    if (!connection || !this.#local) throw new StoreUnavailable(new Error("no connection to Redis"));
    const { grace, maxNames } = this.#local;
    const { key, name, id, since } = session;
    const args = [JSON.stringify({ key, name, id, since }), grace, maxNames];
    const result = await connection.run("verify", args).catch((error: unknown) => {
      throw new StoreUnavailable(error);
    });
    return result === 1;
  }

  end(session: Session): void {
    const { key, name, id, since } = session;
    this.#leases.delete(key);
    this.#ended.set(id, { session: { key, name, id, since }, heir: "", since: Date.now() });
    this.#schedule();
  }

  hold({ key, name, id, since }: Session, ms: number): void {
    this.#leases.set(key, [{ key, name, id, since }, ms]);
    if (ms === 0) this.#schedule();
  }

  joined(key: string, name: string): void {
    this.#members.set(key, [name, undefined]);
    this.#schedule();
  }

  left(key: string, reason: LeaveReason): void {
    this.#members.set(key, ["", reason]);
    this.#schedule();
  }

  unloaded(key: string, page: string | undefined): void {
    // Other processes learn of it soon or never: a page without its browser polls no more.
    if (this.#connection()) this.#unloaded.push([key, page]);
    this.#schedule();
  }

  async flush(): Promise<void> {
    await this.#send();
  }

  /** Starts with a new connection: leases and members are sent first, then the others' members are read. */
  async resume(connection: Connection, changesAt: string, steps: number, lostForMs: number): Promise<void> {
    this.#reset = true;
    this.#renewedAt = Number.NEGATIVE_INFINITY;
    if (lostForMs > LEASE_MARGIN_MS) this.#claimsFrom = performance.now() + LEASE_MARGIN_MS;
    await this.remote.resume(connection, changesAt, steps);
    void this.#send();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
    await this.#connection()
      ?.run("quit", [this.remote.self])
      .catch(() => undefined);
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      void this.#send();
    });
  }

  /** Sends what has changed, one script at a time. Resolves with whether Redis took it. */
  #send(): Promise<boolean> {
    this.#sending = this.#sending.then(() => this.#sync());
    return this.#sending;
  }

  async #sync(): Promise<boolean> {
    const connection = this.#connection();
    const local = this.#local;
    if (!connection || !local) return false;
    this.#renew(local);
    const reset = this.#reset;
    const members = reset ? allMembers(local) : this.#members;
    const [leases, ended, unloaded] = [this.#leases, this.#ended, this.#unloaded];
    this.#reset = false;
    this.#members = new Map();
    this.#leases = new Map();
    this.#ended = new Map();
    this.#unloaded = [];
    const joined = [...members].filter(([, [, reason]]) => reason === undefined);
    const left = [...members].filter(([, [, reason]]) => reason !== undefined);
    const { grace, maxNames } = local;
    const ask = {
      ...{ from: this.remote.self, ttl: PROCESS_TTL_MS, grace, maxNames, reset, unloaded },
      joined: joined.map(([key, [name]]) => [key, name]),
      left: left.map(([key, [, reason]]) => [key, reason]),
      leases: [...leases.values()].map(([session, ms]) => ({ session, ms: Math.ceil(ms) })),
      ended: [...ended.values()],
    };
    try {
      const reply = await connection.run("sync", [JSON.stringify(ask)]);
      const [now, known, processes, secrets, signing]: unknown[] = Array.isArray(reply) ? reply : [];
      connection.now = Number(now);
      // Redis forgot this process, because it was stopped for too long, or because Redis lost its data.
      if (known !== 1 && !reset) this.#reset = true;
      this.#onSecrets(texts(secrets), String(signing));
      await this.remote.check(connection, texts(processes));
      return true;
    } catch {
      // Newer states are kept, older ones are sent again.
      this.#reset ||= reset;
      this.#members = new Map([...members, ...this.#members]);
      this.#leases = new Map([...leases, ...this.#leases]);
      this.#ended = new Map([...ended, ...this.#ended]);
      return false;
    }
  }

  /** Adds the leases that are to be renewed: all of them, three times in a grace time. */
  #renew(local: LocalMembers): void {
    const now = performance.now();
    if (now - this.#renewedAt < local.grace / 3) return;
    this.#renewedAt = now;
    for (const [session, ms] of local.held()) {
      this.#leases.set(session.key, [session, Math.min(ms, local.grace + LEASE_MARGIN_MS)]);
    }
  }
}

function allMembers(local: LocalMembers): Map<string, readonly [name: string, reason: undefined]> {
  const members = new Map<string, readonly [name: string, reason: undefined]>();
  for (const { key, name } of local.present()) members.set(key, [name, undefined]);
  return members;
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
