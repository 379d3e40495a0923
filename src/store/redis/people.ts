/**
 * What processes tell each other of people, over Redis. A process gathers what it has to tell and sends it as one script:
 * at once when somebody leaves or logs in, on the next turn of the event loop when somebody comes, and once a second
 * whatever else there is. What a process tells of its people is good for a while only (`LEASE`), so what a dead one held
 * is free by itself.
 */
import type { Leaving, Neighbours, Owner, Resident } from "../neighbours.js";
import { StoreUnavailable } from "../store.js";
import { MARGIN, PATIENCE } from "./client.js";
import { Hearing, ownerOf, parse } from "./hearing.js";
import type { Link } from "./link.js";

/** How often a process speaks up, at the most, in milliseconds. */
const TICK = 1_000;
/** The shortest time between two words of a process, in milliseconds. */
const TICK_MIN = 10;
/** How much longer than needed somebody is said to be here, in milliseconds: a tick, and a process may be late. */
const LEASE = 2_000;
/** So much is gathered while there is nobody to tell; then the oldest is forgotten. */
const GATHERED = 10_000;
/** So many people are told of in one script, so that none is long. */
const CROWD = 500;

type Person =
  | { readonly user: string; readonly how: "here"; readonly left: number }
  | { readonly user: string; readonly how: Leaving; readonly client: string | undefined };

/** A name's new owner, and the id of the login that ended. */
type Change = { readonly owner: Owner; readonly was: string | undefined };

/** What was gathered. */
interface Gathered {
  readonly own: readonly Change[];
  readonly held: readonly (readonly [key: string, ms: number])[];
  readonly people: readonly Person[];
}

export class RedisPeople implements Neighbours {
  readonly #keep: number;
  readonly #link: () => Link | undefined;
  readonly #self = Math.random().toString(36).slice(2);
  /** What the others tell. */
  readonly hearing = new Hearing(this.#self);
  #resident: Resident | undefined;
  // What is to be told.
  #own: Change[] = [];
  #held = new Map<string, number>();
  #people: Person[] = [];
  #soon: NodeJS.Immediate | undefined;
  #sending = false;
  #tick: NodeJS.Timeout | undefined;
  #refreshedAt = 0;
  #quietUntil = 0;

  /**
   * @param keep how many messages the stream keeps, since a notice is one
   * @param link the connection, if there is one now
   */
  constructor(keep: number, link: () => Link | undefined) {
    this.#keep = keep;
    this.#link = link;
  }

  join(resident: Resident): void {
    this.#resident = resident;
    this.hearing.join(resident);
    this.#quietUntil = performance.now() + resident.grace;
    const tick = Math.min(TICK, Math.max(TICK_MIN, resident.grace / 3));
    this.#tick = setInterval(() => this.#speak(), tick).unref();
  }

  async claim({ key, name, id, since }: Owner, instead = ""): Promise<Owner | "taken" | "full"> {
    const link = this.#link();
    const resident = this.#resident;
    if (!link || !resident) throw new StoreUnavailable(new Error("no connection to Redis"));
    // In this order: who has just come or gone counts.
    void this.told();
    try {
      const owner = JSON.stringify({ key, name, id, since });
      const deadline = Math.floor(link.now + PATIENCE - MARGIN);
      const { grace, maxNames } = resident;
      const reply = await link.run("claim", [deadline, owner, grace, maxNames, instead]);
      if (reply === "taken" || reply === "full") return reply;
      const mine = ownerOf(parse(String(reply)));
      if (!mine) throw new Error("Redis was too slow");
      return mine;
    } catch (error) {
      throw new StoreUnavailable(error);
    }
  }

  own({ key, name, id, since }: Owner, was?: string): void {
    this.#own.push({ owner: { key, name, id, since }, was });
    if (this.#own.length > GATHERED) this.#own.shift();
    this.#tellSoon();
  }

  hold(key: string, ms: number): void {
    this.#held.set(key, ms);
    if (ms === 0) this.#tellSoon();
  }

  arrived(user: string, left: number | undefined): void {
    // Without a connection there is no need to gather this: the next one begins with all who are here.
    if (!this.#link()) return;
    this.#people.push({ user, how: "here", left: this.#lease(left) });
    this.#tellSoon();
  }

  left(user: string, client: string | undefined, how: Leaving): void {
    this.#people.push({ user, how, client });
    if (!this.#link() && this.#people.length > GATHERED) this.#people.shift();
    this.#tellSoon();
  }

  async told(): Promise<void> {
    clearImmediate(this.#soon);
    this.#soon = undefined;
    await this.#send();
  }

  /** The connection is good: first the people who are here, who must not be taken for gone because we could not say so. */
  resume(): void {
    this.#quietUntil = performance.now() + (this.#resident?.grace ?? 0);
    this.#refresh();
    void this.told();
  }

  async close(): Promise<void> {
    clearInterval(this.#tick);
    await this.told();
  }

  /** Once a second: whose time is nearly over is here still, and whose is over is away. */
  #speak(): void {
    const now = performance.now();
    if (now - this.#refreshedAt >= this.#refreshTime) this.#refresh();
    void this.#send({ sweep: now > this.#quietUntil });
  }

  get #refreshTime(): number {
    return (this.#resident?.grace ?? 0) / 3;
  }

  /** A poll, or a page view, tells nothing by itself: it must still be known of when we next speak of all. */
  #lease(left = this.#resident?.grace ?? 0): number {
    return Math.ceil(left + this.#refreshTime + LEASE);
  }

  #refresh(): void {
    this.#refreshedAt = performance.now();
    for (const [user, left] of this.#resident?.here() ?? []) {
      this.#people.push({ user, how: "here", left: this.#lease(left) });
    }
  }

  /** On the next turn, or, while something is on its way, after that: who come together are told of together. */
  #tellSoon(): void {
    if (this.#sending) return;
    this.#soon ??= setImmediate(() => {
      this.#soon = undefined;
      this.#sending = true;
      void this.#send().then((isTold) => {
        this.#sending = false;
        // What failed has time until the next tick, or a Redis that refuses would be asked without end.
        if (isTold && this.#people.length + this.#own.length > 0) this.#tellSoon();
      });
    });
  }

  /** Tells what there is to tell, and gives whether that went well; a tick also looks for those whose time is over. */
  async #send(tick?: { readonly sweep: boolean }): Promise<boolean> {
    const link = this.#link();
    const resident = this.#resident;
    if (!link || !resident) return false;
    const [own, held, everybody] = [this.#own, [...this.#held], this.#people];
    this.#own = [];
    this.#held = new Map();
    this.#people = [];
    if (!tick && own.length + held.length + everybody.length === 0) return true;
    const { grace, maxNames } = resident;
    const common = { from: this.#self, keep: this.#keep, grace, maxNames, sweep: false, held: [] };
    const partAt = (at: number) => ({
      ...common,
      own: own.slice(at, at + CROWD),
      people: everybody.slice(at, at + CROWD),
    });
    const parts = [{ ...partAt(0), sweep: tick?.sweep ?? false, held }];
    const most = Math.max(own.length, everybody.length);
    for (let at = CROWD; at < most; at += CROWD) parts.push(partAt(at));
    return (await Promise.all(parts.map((part) => this.#tell(link, part)))).every(Boolean);
  }

  async #tell(link: Link, part: Gathered): Promise<boolean> {
    try {
      link.now = Number(await link.run("people", [JSON.stringify(part)]));
      return true;
    } catch {
      this.#own = [...part.own, ...this.#own];
      this.#held = new Map([...part.held, ...this.#held]);
      // Who is here is told anew with a new connection; who went would be forgotten.
      this.#people = [...part.people.filter(({ how }) => how !== "here"), ...this.#people];
      return false;
    }
  }
}
