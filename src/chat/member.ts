/** The record of one member: the owner of the name, the presence, and the held polls. */
import type { Waiter } from "../feed/index.js";
import type { Message } from "../store/store.js";
import type { LegacyReader } from "./legacy.js";

/** A poll of a member. */
export type MemberPoll = Waiter<Message> & { readonly member: Member };

/** Returns the feed's `client` for a page of a member. The id of a page has no space, so the result is unambiguous. */
export function clientOf(key: string, page: string): string {
  return `${page} ${key}`;
}

export class Member {
  /** The session that owns the name. Empty after a log-out, and behind a host's log-in. */
  sessionId = "";
  /** When the owner logged in, in milliseconds since the Unix epoch. Of two sessions, the newer one is valid. */
  since = 0;
  /** Until when the name is held, and the member is present without a poll, by `performance.now()`. */
  expiry = 0;
  /** On how many processes the member is present. */
  processes = 0;
  /** The newest join or leave notice of this member. Its `id` is its idempotency key until the store has kept it. */
  lastNotice: { readonly id: string; readonly kind?: Message["kind"] } | undefined = undefined;
  /** Where the member's plain polls are. */
  legacy: LegacyReader | undefined = undefined;
  /** The held polls, the oldest first. */
  readonly polls: MemberPoll[] = [];

  /** @param name the name as its owner writes it */
  constructor(
    readonly key: string,
    public name: string,
  ) {}

  /** Whether nobody else may take the name. */
  get isHeld(): boolean {
    return this.sessionId !== "" && (this.processes > 0 || this.expiry > performance.now());
  }
}

/** Returns the index of a name in a sorted list, by binary search. */
export function indexOf(names: readonly string[], name: string): number {
  let [low, high] = [0, names.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((names[middle] ?? "") < name) low = middle + 1;
    else high = middle;
  }
  return low;
}
