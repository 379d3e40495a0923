/**
 * The members of the other processes, from heartbeats. The fields of a heartbeat are `from` and changes: `+key` (joined: the
 * name), `-key` (left: `unload` if the page was closed), `xpage key` (a page was closed), and `all`, with which all members follow.
 */
import { parseId } from "../../feed/id.js";
import type { LocalMembers } from "../cluster.js";
import type { Entry } from "./connection.js";

/** Without a heartbeat for this long, the members of a process count as absent. */
export const PROCESS_TTL_MS = 5_000;

export class RemoteMembers {
  /** By process: the time of its newest heartbeat, by Redis' clock, and its members. */
  readonly #processes = new Map<string, { seenAt: number; readonly members: Set<string> }>();

  /** Gives all processes time for the next heartbeat. @param now the time by Redis' clock */
  resume(now: number): void {
    for (const process of this.#processes.values()) process.seenAt = now;
  }

  /** Applies a heartbeat of another process. Returns whether that process was unknown. */
  apply({ id, fields }: Entry, from: string, local: LocalMembers): boolean {
    const [seenAt] = parseId(id);
    const known = this.#processes.get(from);
    const members = known?.members ?? new Set();
    this.#processes.set(from, { seenAt, members });
    const leave = (key: string, mayReturn: boolean) =>
      members.delete(key) && local.applyLeave(key, mayReturn);
    if (fields.all !== undefined) {
      for (const key of members) if (fields[`+${key}`] === undefined) leave(key, false);
    }
    for (const [field, value] of Object.entries(fields)) {
      const key = field.slice(1);
      const space = key.indexOf(" ");
      if (field[0] === "+" && !members.has(key)) {
        members.add(key);
        local.applyJoin(key, value);
      } else if (field[0] === "-") leave(key, value === "unload");
      else if (field[0] === "x") local.applyUnload(key.slice(space + 1), key.slice(0, space) || undefined);
    }
    return !known;
  }

  /** Removes the processes that sent no heartbeat. @param now the time by Redis' clock */
  removeDead(now: number, local: LocalMembers): void {
    for (const [name, { seenAt, members }] of this.#processes) {
      if (now - seenAt <= PROCESS_TTL_MS) continue;
      this.#processes.delete(name);
      for (const key of members) local.applyLeave(key, false);
    }
  }
}
