/** The options of a chat: what each is, in which unit, its default, and what follows from it. Checked once, here. */
import { randomBytes } from "node:crypto";
import { MemoryStore } from "./store/memory.js";
import type { Store } from "./store/store.js";

/** Secrets for session cookies; there is at least one. */
export type Secrets = readonly [string | Uint8Array, ...(string | Uint8Array)[]];

/** Options of a chat; all have defaults. */
export interface ChatOptions {
  /** How many messages are kept for those who come later, 1 to 1,000,000. Who is further behind is told of a gap. Default 1,000. */
  readonly backlog?: number;
  /** How many polls are held at once, 1 to 1,000,000. When all places are taken, who holds most gives one up; then 503. Default 10,000. */
  readonly maxWaiters?: number;
  /** How many polls one person may hold, 1 to 1,000,000; more are 503. Default: as many as there are places that nobody else wants. */
  readonly maxWaitersPerUser?: number;
  /** How many names are remembered, 1 to 10,000,000. More log-ins are 503 while all of them are held. Default 100,000. */
  readonly maxNames?: number;
  /** The longest request body, in bytes, 1,024 to 1,000,000. A longer one is 413. Default 65,536. */
  readonly bodyLimit?: number;
  /** How long somebody is still here after their last poll, in milliseconds, 1 to 3,600,000. So long is a name held. Default 30,000. */
  readonly grace?: number;
  /** Posts per second and user, with four seconds' worth at once; 0: no limit. More are 429. Default 5. */
  readonly postRate?: number;
  /** Log-ins per second and address, with four seconds' worth at once; 0: no limit. More are 429. Default 5. */
  readonly loginRate?: number;
  /** Whether `X-Forwarded-For`, `-Proto` and `-Host` are believed, their last hop only. Only behind a proxy that sets them. Default false. */
  readonly trustProxy?: boolean;
  /** Where messages are kept. Default: in memory, gone with the process. */
  readonly store?: Store;
  /** Secrets for session cookies: the first signs, all are good. Default: the store's, or a random one. */
  readonly secrets?: Secrets;
  /** Is told, in one line, of faults of ours. Default: `console.error`. */
  readonly log?: (line: string) => void;
}

/** Options with their defaults filled in. */
export interface Settled extends Required<Omit<ChatOptions, "secrets">> {
  /** To be asked for when the store is open. */
  readonly secrets: () => Secrets;
}

/** Fills in defaults. Throws a `RangeError` that names the option for a value that is out of range. */
export function settle(options: ChatOptions): Settled {
  const backlog = whole("backlog", options.backlog ?? 1000, 1, 1_000_000);
  const store: Store = options.store ?? new MemoryStore(backlog);
  return {
    backlog,
    maxWaiters: whole("maxWaiters", options.maxWaiters ?? 10_000, 1, 1_000_000),
    maxWaitersPerUser: whole("maxWaitersPerUser", options.maxWaitersPerUser ?? 1_000_000, 1, 1_000_000),
    maxNames: whole("maxNames", options.maxNames ?? 100_000, 1, 10_000_000),
    bodyLimit: whole("bodyLimit", options.bodyLimit ?? 65_536, 1_024, 1_000_000),
    grace: whole("grace", options.grace ?? 30_000, 1, 3_600_000),
    postRate: between("postRate", options.postRate ?? 5, 0, 1_000_000),
    loginRate: between("loginRate", options.loginRate ?? 5, 0, 1_000_000),
    trustProxy: options.trustProxy ?? false,
    store,
    secrets: () => options.secrets ?? store.secrets ?? [randomBytes(32)],
    log: options.log ?? console.error,
  };
}

function whole(option: string, value: number, least: number, most: number): number {
  if (Number.isInteger(between(option, value, least, most))) return value;
  throw new RangeError(`${option} is a whole number, not ${value}`);
}

function between(option: string, value: number, least: number, most: number): number {
  if (value >= least && value <= most) return value;
  throw new RangeError(`${option} is a number from ${least} to ${most}, not ${value}`);
}
