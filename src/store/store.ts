/**
 * The interfaces of a store of messages, and of the processes that share one. A store calls `receive` with each message
 * that it keeps, in order, and nobody sees a message before it is kept.
 */
import type { Id } from "../feed/id.js";

/** One message as everybody sees it. */
export interface Message {
  readonly id: Id;
  /** The name of the author, or of the member who joined or left. */
  readonly user: string;
  /** The text; empty for a notice. */
  readonly text: string;
  /** When it was kept, in milliseconds since the Unix epoch, by the clock of the process or of Redis. */
  readonly at: number;
  /** Whether it is a notice. Absent for a text. */
  readonly kind?: "join" | "leave";
}

/** A message before it is kept. `key`: an idempotency key. A second message of the same user and key is not kept. */
export type NewMessage = Pick<Message, "user" | "text" | "kind"> & { readonly key?: string };

/** What a store holds when it is opened. */
export interface Snapshot {
  /** The id of the newest message that is no longer kept. A reader with an older cursor has missed messages. */
  readonly lastPrunedId: Id;
  /** The kept messages, oldest first. */
  readonly messages: readonly Message[];
}

/** Called with each newly kept message, in order. Must not throw. */
export type Receive = (message: Message) => void;

/** Called if messages were lost or missed: the snapshot replaces everything before. Must not throw. */
export type Reset = (snapshot: Snapshot) => void;

/** A store of messages. */
export interface Store {
  /** Whether the last attempt to write succeeded, or there was none yet. */
  readonly writable: boolean;
  /** Secrets for session cookies that outlive the process; the first one signs. Valid after `open`. Absent: none are kept. */
  readonly secrets?: readonly [string | Uint8Array, ...(string | Uint8Array)[]] | undefined;
  /** The other processes that share the store. Absent: there is one process. */
  readonly cluster?: Cluster;
  /**
   * Opens the store, once, to keep the newest `backlog` messages. After it has resolved, `receive` is called for each newly
   * kept message, in order. Rejects with an `Error` whose message says what is wrong.
   */
  open(receive: Receive, reset: Reset, backlog: number): Promise<Snapshot>;
  /**
   * Keeps a message. Resolves with it when it is kept and was received. If a message of the same user and key is kept or
   * under way, resolves with that one.
   * Rejects with `StoreUnavailable`; then nothing was kept and nobody has seen it.
   */
  append(message: NewMessage): Promise<Message>;
  /** Waits for appends under way, then frees what the store holds open. */
  close(): Promise<void>;
}

/** A store cannot keep messages now: the disk is full, or the connection is lost. `cause` says why; it is not for clients. */
export class StoreUnavailable extends Error {
  constructor(cause: unknown) {
    super("the store cannot keep messages now", { cause });
    this.name = "StoreUnavailable";
  }
}

/** One log-in. */
export interface Session {
  /** The form in which two names are compared. */
  readonly key: string;
  readonly name: string;
  /** Identifies the log-in among those of the same name. */
  readonly id: string;
  /** The time of the log-in, in milliseconds since the Unix epoch. Of two sessions of one name, the newer one is valid. */
  readonly since: number;
}

/** The session that owns the name now; `taken`: another session holds it; `full`: `maxNames` names are held. */
export type ClaimResult = Session | "taken" | "full";

/** The length of the id of a log-in form, in characters. The id of a session starts with the id of its form. */
export const FORM_ID_LENGTH = 16;

/** Returns whether two sessions came from one log-in form, which was submitted twice. */
export function isSameForm(id: string, other: string): boolean {
  return id !== "" && id.slice(0, FORM_ID_LENGTH) === other.slice(0, FORM_ID_LENGTH);
}

/**
 * What a process publishes about a member, with a detail.
 * - `join`: the member is present on the process. The detail is the name.
 * - `leave`: the member is not present there any more. The detail is empty.
 * - `unload`: a page was closed, and any process may hold its polls. The detail is its id; empty: all pages of the member.
 */
export type Change = "join" | "leave" | "unload";

/** The members of this process, as the cluster uses them. */
export interface LocalMembers {
  /** `grace`: for how many milliseconds a name is held after the last sign of life. `maxNames`: how many names are remembered. */
  readonly options: { readonly grace: number; readonly maxNames: number };
  /**
   * Lists the sessions that are known here, with an empty `id` if the newest one has ended, and for how many milliseconds
   * they hold their names: Infinity while a poll is held, 0 or less if the name is free.
   */
  sessions(): Iterable<readonly [session: Session, ms: number]>;
  /** The members who are present here. */
  readonly present: Iterable<{ readonly key: string; readonly name: string }>;
  /** Applies that a session owns its name, or with an empty `id` that nobody does. An older session is ignored. */
  applyOwner(session: Session): void;
  /** Applies that a member is present on one more process. */
  applyJoin(key: string, name: string): void;
  /** Applies that a member is present on one process less. */
  applyLeave(key: string): void;
  /** Applies that a page was closed: its polls end. Without a page, all polls of the member end. */
  applyUnload(key: string, page: string | undefined): void;
}

/** The other processes. */
export interface Cluster {
  /** Joins the cluster, once, after the store was opened. */
  join(local: LocalMembers): void;
  /**
   * Takes a name for a new session. Returns the session that owns the name then: the earlier one, if both came from one
   * form. Rejects with `StoreUnavailable`. Then the name is as before, or the claim holds it for a short time,
   * and the same form can take it again.
   * @param replaced the id of the owner's session that the new one replaces; empty: none
   */
  claim(session: Session, replaced: string): Promise<ClaimResult>;
  /** Returns whether a session that is new to this process is still valid. Rejects with `StoreUnavailable`. */
  verify(session: Session): Promise<boolean>;
  /**
   * Holds a name for this many milliseconds; 0 frees it. With an empty `id`, all sessions before `since` end: their cookies
   * become invalid on every process. Resolves when the store has it. Never rejects.
   */
  hold(session: Session, ms: number): Promise<void>;
  /** Publishes a change on this process. Resolves when the store has it. Never rejects. */
  publish(change: Change, key: string, detail: string): Promise<void>;
}
