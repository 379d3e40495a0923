/**
 * Where messages are kept. The room knows only this interface. A store calls `receive` with each message that it keeps, in
 * order, and nobody sees a message before it is kept.
 */
import type { Id } from "../feed/id.js";
import type { Cluster } from "./cluster.js";

/** One message as everybody sees it. */
export interface Message {
  readonly id: Id;
  /** The name of the author, or of the member who joined or left. */
  readonly user: string;
  /** The text; empty for a notice. */
  readonly text: string;
  /** Milliseconds since the Unix epoch, by the clock of the process that kept it. */
  readonly at: number;
  /** Whether it is a notice. Absent for a text. */
  readonly kind?: "join" | "leave";
}

/**
 * A message before it is kept.
 * - `key`: an idempotency key. A second message of the same user and key is not kept, the first one counts.
 */
export type NewMessage = Pick<Message, "user" | "text" | "kind"> & { readonly key?: string };

/** What a store holds when it is opened. */
export interface Snapshot {
  /** The id before the oldest kept message: a cursor before it has missed messages. */
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
  readonly secrets?: readonly [Uint8Array, ...Uint8Array[]] | undefined;
  /** The other processes that share the store. Absent: there is one process. */
  readonly cluster?: Cluster;
  /**
   * Opens the store, once. After it has resolved, `receive` is called for each newly kept message, in order.
   * Rejects with an `Error` whose message tells a person what to do.
   * @param backlog how many of the newest messages to keep
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
