/** What the stores that outlast the process have in common: options, warnings, and the words of an error. */
import { StoreUnavailable } from "./store.js";

/** A larger `keep` than this many times the backlog is probably a mistake. */
const MAX_BACKLOGS = 10;

/** The options of every store that outlasts the process. */
export interface StoreOptions {
  /**
   * How many of the newest messages stay in the store, with their idempotency keys: a whole number of at least 1. Default:
   * the `backlog` of the chat. If it is smaller, fewer messages are there after a restart. If it is larger, the chat shows
   * the others only after a restart with a larger `backlog`. `warn` gets a line at the start if it is smaller than the
   * backlog, or more than ten times as large.
   */
  readonly keep?: number;
  /** Receives a line when messages cannot be kept, when they are kept again, and when something is wrong. Default: `console.error`. */
  readonly warn?: (line: string) => void;
}

/** Whether a store can keep messages now, and the lines about that. */
export class Status {
  /** The reason why messages are refused. */
  failure: unknown;

  /**
   * Throws a `RangeError` or a `TypeError` that names the wrong option.
   * @param place where messages are kept, in words
   */
  constructor(
    private readonly options: StoreOptions,
    private readonly place: string,
  ) {
    const { keep = 1, warn = console.error } = options;
    if (!Number.isSafeInteger(keep) || keep < 1)
      throw new RangeError("keep must be a whole number of at least 1");
    if (typeof warn !== "function") throw new TypeError("warn must be a function");
  }

  /** Returns how many messages to keep. Warns if that does not fit the backlog. */
  keepFor(backlog: number): number {
    const { keep = backlog } = this.options;
    const isUsual = keep >= backlog && keep <= MAX_BACKLOGS * backlog;
    if (!isUsual)
      this.warn(`keep is ${keep}, but the backlog of the chat is ${backlog}; better leave keep out`);
    return keep;
  }

  /** Refuses messages until `recovered`, and warns the first time. Returns the error for the caller. */
  readonly failed = (reason: unknown): StoreUnavailable => {
    if (!this.failure) this.warn(`messages cannot be kept, posts are refused: ${messageOf(reason)}`);
    this.failure ??= reason;
    return new StoreUnavailable(reason);
  };

  recovered(): void {
    if (this.failure) this.warn("messages are kept again");
    this.failure = undefined;
  }

  /** Warns. Never throws: if the function of the host fails, the line goes to standard error. */
  readonly warn = (text: string): void => {
    const { warn = console.error } = this.options;
    const line = `${this.place}: ${text}`;
    // Async: a promise of `warn` that rejects would end the process.
    const attempt = async (): Promise<void> => void (await warn(line));
    void attempt().catch(() => console.error(line));
  };
}

/** Returns what is wrong, in words. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Node tries several addresses, and its error then has a code and no words.
  const words = error.message || ("code" in error ? String(error.code) : error.name);
  return words.replace(/\.$/, "");
}
