/** What the stores that outlast the process have in common: options, warnings, and the words of an error. */

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

/**
 * Returns the options as functions: one warns and never throws, one returns how many messages to keep for a backlog. Throws
 * a `RangeError` or a `TypeError` that names the wrong option.
 * @param place where messages are kept, in words
 */
export function parseOptions({ keep, warn = console.error }: StoreOptions, place: string) {
  const isValid = keep === undefined || (Number.isSafeInteger(keep) && keep >= 1);
  if (!isValid) throw new RangeError("keep must be a whole number of at least 1");
  if (typeof warn !== "function") throw new TypeError("warn must be a function");
  // Async: a promise of `warn` that rejects would end the process.
  const attempt = async (line: string): Promise<void> => void (await warn(line));
  const safely = (text: string): void => {
    const line = `${place}: ${text}`;
    void attempt(line).catch(() => console.error(line));
  };
  const keepFor = (backlog: number): number => {
    const kept = keep ?? backlog;
    const isUsual = kept >= backlog && kept <= MAX_BACKLOGS * backlog;
    if (!isUsual) safely(`keep is ${kept}, but the backlog of the chat is ${backlog}; better leave keep out`);
    return kept;
  };
  return { warn: safely, keepFor };
}

/** Returns what is wrong, in words. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Node tries several addresses, and its error then has a code and no words.
  const words = error.message || ("code" in error ? String(error.code) : error.name);
  return words.replace(/\.$/, "");
}
