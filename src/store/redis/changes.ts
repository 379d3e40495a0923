/** The members of the other processes, kept up to date from the stream of changes. */
import type { LeaveReason, LocalMembers, Session } from "../cluster.js";
import type { Connection, Entry } from "./connection.js";

export class RemoteMembers {
  /** The name of this process. */
  readonly self: string;
  /** Up to where the changes were read. */
  at = "0-0";
  #steps = 0;
  #local: LocalMembers | undefined;
  readonly #processes = new Map<string, Map<string, string>>();

  constructor(self: string) {
    this.self = self;
  }

  /** Sets where the changes are applied. */
  join(local: LocalMembers): void {
    this.#local = local;
    for (const members of this.#processes.values()) {
      for (const [key, name] of members) local.applyJoin(key, name);
    }
  }

  /** Continues with a new connection, whose changes are at this id and number: all members are read again. */
  async resume(connection: Connection, at: string, steps: number): Promise<void> {
    this.at = at;
    this.#steps = steps;
    for (const process of this.#processes.keys()) await this.#read(connection, process);
  }

  /** Compares the processes that are alive with those known: dead ones have no members, and new ones are read. */
  async check(connection: Connection, alive: readonly string[]): Promise<void> {
    for (const process of this.#processes.keys()) {
      if (!alive.includes(process)) this.#set(process, new Map(), "timeout");
    }
    for (const process of alive) {
      if (process !== this.self && !this.#processes.has(process)) await this.#read(connection, process);
    }
  }

  /** Applies changes in their order. Throws if one was missed. */
  apply(entries: readonly Entry[]): void {
    for (const { id, message } of entries) {
      if (Number(message.n) !== this.#steps + 1) throw new Error("missed changes of other processes");
      this.#steps++;
      this.at = id;
      const change: unknown = JSON.parse(message.change ?? "{}");
      if (typeof change === "object" && change !== null) this.#apply(change);
    }
  }

  #apply(change: {
    readonly owner?: unknown;
    readonly from?: unknown;
    readonly reset?: unknown;
    readonly joined?: unknown;
    readonly left?: unknown;
    readonly unloaded?: unknown;
  }): void {
    const { owner, from, reset, joined, left, unloaded } = change;
    const session = readSession(owner);
    if (session) this.#local?.applyOwner(session);
    if (typeof from !== "string" || from === this.self) return;
    const members = new Map(reset === true ? [] : this.#processes.get(from));
    for (const [key, name] of pairs(joined)) members.set(key, name);
    let reason: LeaveReason = "timeout";
    for (const [key, why] of pairs(left)) {
      members.delete(key);
      reason = why === "logout" || why === "unload" ? why : "timeout";
    }
    this.#set(from, members, reason);
    for (const [key, page] of pairs(unloaded)) this.#local?.applyUnload(key, page || undefined);
  }

  async #read(connection: Connection, process: string): Promise<void> {
    this.#set(process, new Map(Object.entries(await connection.members(process))), "timeout");
  }

  #set(process: string, members: Map<string, string>, reason: LeaveReason): void {
    const before = this.#processes.get(process) ?? new Map<string, string>();
    if (members.size > 0) this.#processes.set(process, members);
    else this.#processes.delete(process);
    for (const [key, name] of members) if (!before.has(key)) this.#local?.applyJoin(key, name);
    for (const key of before.keys()) if (!members.has(key)) this.#local?.applyLeave(key, reason);
  }
}

/** Reads a list of pairs of texts; an empty list is an object in Lua's JSON. */
function pairs(value: unknown): [string, string][] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((pair: unknown) => {
    const [first, second]: unknown[] = Array.isArray(pair) ? pair : [];
    return typeof first === "string" ? [[first, typeof second === "string" ? second : ""]] : [];
  });
}

function readSession(value: unknown): Session | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { key, name, id, since }: { key?: unknown; name?: unknown; id?: unknown; since?: unknown } = value;
  if (typeof key !== "string" || typeof name !== "string" || typeof id !== "string") return undefined;
  return typeof since === "number" ? { key, name, id, since } : undefined;
}
