/** What the stores that outlast the process have in common: options, failures, and the lines about them. */
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

/** Options of a Redis store. */
export interface RedisStoreOptions extends StoreOptions {
  /**
   * `redis://[[user]:password@]host[:port][/database][?prefix=…]`; `rediss://` for TLS. The names of all keys begin with the
   * prefix, so one Redis can carry several rooms. Default: `holdline`.
   */
  readonly url: string;
}

/** Whether a store can keep messages now, and the lines about that. */
export abstract class DurableStore {
  /** The reason why messages are refused. */
  protected failure: unknown;

  /**
   * Throws a `RangeError` or a `TypeError` that names the wrong option.
   * @param place where messages are kept, in words
   */
  constructor(
    protected readonly place: string,
    private readonly options: StoreOptions,
  ) {
    const { keep = 1, warn = console.error } = options;
    if (!Number.isSafeInteger(keep) || keep < 1) throw new RangeError("keep must be a positive whole number");
    if (typeof warn !== "function") throw new TypeError("warn must be a function");
  }

  /** Returns how many messages to keep. Warns if that does not fit the backlog. */
  protected keepFor(backlog: number): number {
    const { keep = backlog } = this.options;
    if (keep < backlog || keep > MAX_BACKLOGS * backlog)
      this.warn(`keep is ${keep}, but the backlog of the chat is ${backlog}; better leave keep out`);
    return keep;
  }

  /** Whether the last attempt to write succeeded, or there was none yet. */
  get writable(): boolean {
    return !this.failure;
  }

  /** Refuses messages until `recovered`, and warns the first time. Returns the error for the caller. */
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
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Node tries several addresses, and its error then has a code and no words.
  return (error.message || ("code" in error ? String(error.code) : error.name)).replace(/\.$/, "");
}

/** Returns host and port of a URL, and its prefix. Throws a `RangeError` if it is not a Redis URL. */
export function parseUrl(url: string): { place: string; prefix: string } {
  const { protocol, hostname, port, pathname, searchParams } = new URL(URL.canParse(url) ? url : "none:");
  if (/^rediss?:$/.test(protocol) && hostname !== "" && /^(\/\d*)?$/.test(pathname))
    return { place: `${hostname}:${port || 6379}`, prefix: searchParams.get("prefix") ?? "holdline" };
  // The text is not repeated: it may contain a password.
  throw new RangeError("the URL of a Redis is redis://[[user]:password@]host[:port][/database][?prefix=...]");
}
