/** The record of one member: the owner of the name, the presence, and the held polls. */
import { Waiter } from "../feed/index.js";
import type { Message } from "../store/store.js";
import type { LegacyReader } from "./legacy.js";

/** A poll of a member. The polls of a member are a linked list: nearly all members have one, and an array costs more. */
export abstract class MemberPoll extends Waiter<Message> {
  older: MemberPoll | undefined = undefined;
  newer: MemberPoll | undefined = undefined;

  constructor(readonly member: Member) {
    super();
  }
}

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
  /** Whether the member is present on this process. */
  isLocal = false;
  /** On how many processes the member is present. */
  processes = 0;
  /** When a leave notice is due, unless the member is present then, by `performance.now()`. */
  leaveNoticeAt = 0;
  /** The newest join or leave notice of this member. Its `id` is its idempotency key until the store has kept it. */
  lastNotice: { readonly id: string; readonly kind?: Message["kind"] } | undefined = undefined;
  /** Where the member's plain polls are. */
  legacy: LegacyReader | undefined = undefined;
  /** How many polls are held. */
  pollCount = 0;
  #newestPoll: MemberPoll | undefined = undefined;

  /** @param name the name as its owner writes it */
  constructor(
    readonly key: string,
    public name: string,
  ) {}

  /** Whether nobody else may take the name. */
  get isHeld(): boolean {
    return this.sessionId !== "" && (this.processes > 0 || this.expiry > performance.now());
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
