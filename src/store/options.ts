/** What the stores that outlast the process have in common: options, failures, and the lines about them. */
import { StoreUnavailable } from "./store.js";

/** The options of every store that outlasts the process. */
export interface StoreOptions {
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
   * Throws a `TypeError` that names the wrong option.
   * @param place where messages are kept, in words
   */
  constructor(
    protected readonly place: string,
    private readonly options: StoreOptions,
  ) {
    if (options.warn && typeof options.warn !== "function") throw new TypeError("warn must be a function");
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
