/**
 * The members of the other processes, from heartbeats. The fields of a heartbeat are `from`, the id of the process; changes,
 * like `join <key>`, with their details; and `all`, with which the joins of all members follow.
 */
import { parseId } from "../../feed/id.js";
import type { LocalMembers } from "../cluster.js";
import type { Entry } from "./connection.js";

/** Without a heartbeat for this long, the members of a process count as absent. */
const PROCESS_TTL_MS = 5_000;

export class RemoteMembers {
  /** By process, this one too: the time of its newest heartbeat, by Redis' clock, and its members. */
  readonly #processes = new Map<string, { seenAt: number; readonly members: Set<string> }>();

  /** Gives all processes time for the next heartbeat, after an outage. */
  resume(): void {
    for (const process of this.#processes.values()) process.seenAt = Number.POSITIVE_INFINITY;
  }

  /**
   * Applies a heartbeat. Returns whether its process was unknown, or silent for so long that others have forgotten it.
   * @param local where the changes are applied; undefined for a heartbeat of this process
   */
  apply({ id, fields }: Entry, from: string, local: LocalMembers | undefined): boolean {
    const [seenAt] = parseId(id);
    const known = this.#processes.get(from);
    const members = known?.members ?? new Set();
    this.#processes.set(from, { seenAt, members });
    const isNew = !known || seenAt - known.seenAt > PROCESS_TTL_MS;
    if (!local) return isNew;
    const leave = (key: string, mayReturn: boolean) =>
      members.delete(key) && local.applyLeave(key, mayReturn);
    if (fields.all !== undefined) {
      for (const key of members) if (fields[`join ${key}`] === undefined) leave(key, false);
    }
    for (const [field, detail] of Object.entries(fields)) {
      const [change = ""] = field.split(" ", 1);
      const key = field.slice(change.length + 1);
      if (change === "join" && !members.has(key)) {
        members.add(key);
        local.applyJoin(key, detail);
      } else if (change === "leave") leave(key, detail === "reload");
      else if (change === "unload") local.applyUnload(key, detail || undefined);
    }
    return isNew;
  }

  /** Removes the processes that sent no heartbeat. @param now the time by Redis' clock */
  removeDead(now: number, local: LocalMembers): void {
    for (const [name, process] of this.#processes) {
      process.seenAt = Math.min(process.seenAt, now);
      if (now - process.seenAt <= PROCESS_TTL_MS) continue;
      this.#processes.delete(name);
      for (const key of process.members) local.applyLeave(key, false);
    }
  }
}
