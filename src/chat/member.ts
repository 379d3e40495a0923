/** The record of one name: its owner, its presence, and its held polls. */
import { type Cursor, Waiter } from "../feed/index.js";
import type { Message } from "../store/store.js";
import type { LegacyReader } from "./legacy-cursors.js";

/** A poll of a member. The links make a list without an object of its own: nearly all members have one poll. */
export abstract class MemberPoll extends Waiter<Message> {
  readonly member: Member;
  older: MemberPoll | undefined = undefined;
  newer: MemberPoll | undefined = undefined;

  /** @param page identifies the page that polls; a newer poll of the same page and member supersedes this one */
  constructor(member: Member, since: Cursor | "now", wait: number, page?: string) {
    super();
    this.cursor = since;
    this.wait = wait;
    if (page !== undefined) this.client = clientOf(member, page);
    this.member = member;
  }
}

/** Returns the feed's name for a page of a member. A page's id has no space in it, so the name is unambiguous. */
export function clientOf({ key }: Member, page: string): string {
  return `${page} ${key}`;
}

export class Member {
  readonly key: string;
  /** The name as its owner writes it. */
  name: string;
  /** The session that owns the name; empty after a log-out, and behind a host's log-in. */
  sessionId = "";
  /** No session from this time or before is valid, but for the owner; in milliseconds since the Unix epoch. */
  since = 0;
  /** Until when a log-in or a post holds the name, by `performance.now()`. */
  heldUntil = 0;
  /** Until when the member is present without a poll, by `performance.now()`. */
  presentUntil = 0;
  /** When the leave notice is due, by `performance.now()`. */
  leaveNoticeAt = Number.POSITIVE_INFINITY;
  /** Whether the member is present on this process. */
  isLocal = false;
  /** On how many processes the member is present. */
  processes = 0;
  /** The newest join or leave notice of this member: its id, or, until it is kept, its idempotency key. */
  lastNotice: { readonly id: string; readonly kind?: Message["kind"] } | undefined = undefined;
  /** Where the member's plain polls are. */
  legacy: LegacyReader | undefined = undefined;
  /** How many polls are held. */
  pollCount = 0;
  #newestPoll: MemberPoll | undefined = undefined;

  constructor(key: string, name: string) {
    this.key = key;
    this.name = name;
  }

  /** Whether nobody else may take the name. */
  get isHeld(): boolean {
    return this.sessionId !== "" && (this.processes > 0 || this.heldUntil > performance.now());
  }

  /** Lists the held polls, the oldest last. */
  polls(): MemberPoll[] {
    const polls: MemberPoll[] = [];
    for (let poll = this.#newestPoll; poll; poll = poll.older) polls.push(poll);
    return polls;
  }

  addPoll(poll: MemberPoll): void {
    poll.older = this.#newestPoll;
    if (poll.older) poll.older.newer = poll;
    this.#newestPoll = poll;
    this.pollCount++;
  }

  removePoll(poll: MemberPoll): void {
    if (poll.newer) poll.newer.older = poll.older;
    else this.#newestPoll = poll.older;
    if (poll.older) poll.older.newer = poll.newer;
    poll.older = undefined;
    poll.newer = undefined;
    this.pollCount--;
  }
}
