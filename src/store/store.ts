/**
 * Where messages are kept. The room knows only this interface; what a store hands to `receive` is what happened,
 * in the order in which it happened, and a message is shown to nobody before the store has kept it.
 */
import type { Id } from "../feed/id.js";
import type { Cluster } from "./cluster.js";

/** One message as everybody sees it. */
export interface Message {
  readonly id: Id;
  /** The name of who said it, or of who came or went. */
  readonly user: string;
  /** What was said; empty for a notice. */
  readonly text: string;
  /** Milliseconds since the Unix epoch, by the clock of the process that kept it. */
  readonly at: number;
  /** Absent for what a person said. */
  readonly kind?: "join" | "leave";
}

/** A message before it is kept. */
export interface NewMessage {
  readonly user: string;
  readonly text: string;
  readonly kind?: "join" | "leave";
  /** An idempotency key: a second draft of the same user and key is the first one again. */
  readonly key?: string;
}

/** What a store holds when it is opened. */
export interface Snapshot {
  /** The id before the oldest kept message: a cursor below it has missed something. */
  readonly lastPrunedId: Id;
  /** The kept messages, in order; at most as many as the store was told to keep. */
  readonly messages: readonly Message[];
}

/** Called with each newly kept message, in order. Must not throw. */
export type Receive = (message: Message) => void;

/** Called if messages were lost or missed: what is kept now replaces everything before. Must not throw. */
export type Reset = (snapshot: Snapshot) => void;

/** A store of messages. */
export interface Store {
  /** Whether the last attempt to write went well, or none was made yet. */
  readonly writable: boolean;
  /** Secrets for session cookies that outlive the process, the first to sign with; good after `open`. Absent: none are kept. */
  readonly secrets?: readonly [Uint8Array, ...Uint8Array[]];
  /** The other processes that share the store. Absent: there is one process. */
  readonly cluster?: Cluster;
  /**
   * Opens the store, once. From then on `receive` is called for each newly kept message, in order.
   * Rejects with an `Error` whose message tells a person what to do.
   */
  open(receive: Receive, reset: Reset): Promise<Snapshot>;
  /**
   * Keeps a message and gives it back once it is kept and was received. A draft whose user and key are those of a
   * kept message gives that one back instead, also while the first is still on its way.
   * Rejects with `StoreUnavailable`; then nothing was kept and nobody has seen it.
   */
  append(message: NewMessage): Promise<Message>;
  /** Waits for appends under way, then lets go of what the store holds open. */
  close(): Promise<void>;
}

/** A store could not keep a message (disk full, connection lost). The cause is in `cause`; it is not for clients. */
export class StoreUnavailable extends Error {
  constructor(cause: unknown) {
    super("the store cannot keep messages now", { cause });
    this.name = "StoreUnavailable";
  }
}

/** Whether an error says that a store cannot keep messages now. */
export function isStoreUnavailable(error: unknown): boolean {
  return error instanceof StoreUnavailable;
}
