/**
 * What a process hears of the others: at first, and whenever something was missed, how everything is; from then on the
 * stream `doors`, in its order.
 */
import type { Owner, Resident } from "../neighbours.js";
import type { Entry, Link } from "./link.js";

export class Hearing {
  readonly #self: string;
  #resident: Resident | undefined;
  // For the resident that is to come.
  #met: { readonly owners: readonly Owner[]; readonly here: readonly string[] } = { owners: [], here: [] };
  #heard = "0-0";
  #steps = 0;

  /** @param self how this process calls itself in what it tells */
  constructor(self: string) {
    this.#self = self;
  }

  /** Up to where the others were heard: an id of the stream `doors`. */
  get heard(): string {
    return this.#heard;
  }

  /** Whom to tell of it, from now on. */
  join(resident: Resident): void {
    this.#resident = resident;
    resident.met(this.#met.owners, this.#met.here);
    this.#met = { owners: [], here: [] };
  }

  /** Reads everything anew over a new connection, whose `doors` are at this id and number. */
  async meet(link: Link, heard: string, steps: number): Promise<void> {
    const [names, here] = await link.people();
    const owners = Object.values(names).flatMap((text) => ownerOf(parse(text)) ?? []);
    this.#heard = heard;
    this.#steps = steps;
    if (this.#resident) this.#resident.met(owners, here);
    else this.#met = { owners, here };
  }

  /** Hears what the others have told. Throws when something was missed. */
  hear(entries: readonly Entry[]): void {
    for (const { id, message } of entries) {
      if (Number(message.n) !== this.#steps + 1) throw new Error("missed what other processes told");
      this.#steps++;
      this.#heard = id;
      if (this.#resident) this.#hearEvent(this.#resident, parse(message.event ?? ""));
    }
  }

  #hearEvent(resident: Resident, event: unknown): void {
    const { from, own, people } = Object(event) as { from?: unknown; own?: unknown; people?: unknown };
    for (const value of Array.isArray(own) ? (own as unknown[]) : []) {
      const owner = ownerOf(value);
      if (owner) resident.owned(owner);
    }
    for (const value of Array.isArray(people) ? (people as unknown[]) : []) {
      const [what, user, client] = Array.isArray(value) ? (value as unknown[]) : [];
      if (typeof user !== "string") continue;
      if (what === "came") resident.came(user, from === this.#self);
      else if (what === "went") resident.went(user);
      // Our own polls are let go already, and what has come since is not meant.
      else if (from !== this.#self) resident.left(user, typeof client === "string" ? client : undefined);
    }
  }
}

/** Reads JSON from Redis; undefined when it is none. */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Reads an owner from Redis; undefined when the value is none. */
export function ownerOf(value: unknown): Owner | undefined {
  const { key, name, id, since } = Object(value) as Record<keyof Owner, unknown>;
  if (typeof key !== "string" || typeof name !== "string" || typeof id !== "string") return undefined;
  return typeof since === "number" ? { key, name, id, since } : undefined;
}
