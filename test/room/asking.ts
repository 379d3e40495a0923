/** A small room, and polls of it that write down what they are answered with. */
import type { Answer, Batch } from "../../src/room/answers.js";
import type { Cursor } from "../../src/room/backlog.js";
import type { Session } from "../../src/room/names.js";
import { Room, type RoomOptions } from "../../src/room/room.js";
import { nameKey } from "../../src/room/text.js";
import { Waiter } from "../../src/room/waiters.js";
import { MemoryStore } from "../../src/store/memory.js";

/** In milliseconds. */
export const SECOND = 1000;
export const GRACE = 30 * SECOND;

export function open(options: Partial<RoomOptions> = {}): Promise<Room> {
  return Room.open({
    store: new MemoryStore(100),
    backlog: 100,
    maxWaiters: 100,
    maxWaitersPerUser: 100,
    maxNames: 100,
    grace: GRACE,
    ...options,
  });
}

/** A session under a name. */
export function sessionOf(name: string): Session {
  return { name, key: nameKey(name), id: `${name}'s`, since: 1 };
}

class Poll extends Waiter {
  readonly answers: Batch[] = [];
  answer({ batch }: Answer): void {
    this.answers.push(batch);
  }
}

export interface Asked {
  readonly user: string;
  readonly since?: Cursor | "now";
  /** In milliseconds; ten seconds unless told. */
  readonly wait?: number;
  readonly client?: string;
}

/** Polls, and gives the poll, what it is answered with, in an array that fills, and what the room said at once. */
export function pollOf(room: Room, { user, since = "now", wait = 10 * SECOND, client }: Asked) {
  const waiter = new Poll(user, since, wait, client);
  const outcome = room.poll(waiter);
  return { waiter, answers: waiter.answers, outcome };
}

/** What was said, and who came and went. */
export function texts(batch?: Batch): string[] | undefined {
  return batch?.messages.map(({ text, kind, user }) => (kind ? `${user} ${kind}` : text));
}

/** What there is to read in the room, notices and all. */
export function told(room: Room): string[] {
  return texts(pollOf(room, { user: "an onlooker", since: "0", wait: 0 }).answers[0]) ?? [];
}
