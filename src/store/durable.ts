/** What the stores that outlast the process have in common: options, failures, and the lines about them. */
import { type Receive, type Reset, type Snapshot, StoreUnavailable } from "./store.js";

/** The options of every store that outlasts the process. */
export interface StoreOptions {
  /**
   * How many of the newest messages stay in the store, with their idempotency keys: a whole number of at least 1. Default:
   * the `backlog` of the chat. If it is smaller, fewer messages are there after a restart. If it is larger, the chat shows
   * the others only after a restart with a larger `backlog`. `warn` gets a line at the start if it is smaller than the
   * backlog, or more than ten times as large.
   */
  readonly keep?: number;
  /** Called with a line when messages cannot be kept, are kept again, or something else is wrong. Default: `console.error`. */
  readonly warn?: (line: string) => void;
}

/** How a store is opened, whether it can keep messages now, and the lines about that. */
export abstract class DurableStore {
  /** How many of the newest messages to keep. */
  protected keep = 0;
  /** The reason why messages are refused; undefined while they are kept. */
  protected failure: unknown;

  /** Throws a `RangeError` or a `TypeError` that names the wrong option. */
  constructor(
    /** Where messages are kept, in words. */
    readonly place: string,
    private readonly options: StoreOptions,
  ) {
    const { keep = 1, warn = console.error } = options;
    if (!Number.isSafeInteger(keep) || keep < 1) throw new RangeError("keep must be a positive whole number");
    if (typeof warn !== "function") throw new TypeError("warn must be a function");
  }

  async open(receive: Receive, reset: Reset = () => {}, backlog = 1000): Promise<Snapshot> {
    this.keep = this.options.keep ?? backlog;
    // Probably a mistake.
    if (this.keep < backlog || this.keep > 10 * backlog)
      this.warn(`keep is ${this.keep}, but the backlog of the chat is ${backlog}; better leave keep out`);
    try {
      return await this.load(receive, reset);
    } catch (error) {
      await this.close();
      throw new Error(`cannot keep messages in ${this.place}: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Opens the store and returns the newest messages. */
  protected abstract load(receive: Receive, reset: Reset): Promise<Snapshot>;
  abstract close(): Promise<void>;

  /** Whether the last attempt to write succeeded, or there was none yet. */
  get writable(): boolean {
    return !this.failure;
  }

  /** Refuses messages until `recovered` is called, and warns the first time. Returns the error for the caller. */
  protected readonly failed = (reason: unknown): StoreUnavailable => {
    if (!this.failure) this.warn(`messages cannot be kept, posts are refused: ${messageOf(reason)}`);
    this.failure ??= reason;
    return new StoreUnavailable(reason);
  };

  protected recovered(): void {
    if (this.failure) this.warn("messages are kept again");
    this.failure = undefined;
  }

  /** Warns. Never throws: if the function of the host fails, or its promise, the line goes to standard error. */
  protected readonly warn = (text: string): void => {
    const { warn = console.error } = this.options;
    const line = `${this.place}: ${text}`;
    new Promise<void>((resolve) => resolve(warn(line))).catch(() => console.error(line));
  };
}

/** Returns what is wrong, in words. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Node tries several addresses, and its error then has a code and no words.
  return (error.message || ("code" in error ? String(error.code) : error.name)).replace(/\.$/, "");
}
