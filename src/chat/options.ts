/** The options of a chat: what each is, in which unit, its default, and what follows from it. Checked once, here. */
import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { MemoryStore } from "../store/memory.js";
import type { Store } from "../store/store.js";

/** Secrets for session cookies; there is at least one. */
export type Secrets = readonly [string | Uint8Array, ...(string | Uint8Array)[]];

/** Options of a chat; all have defaults. */
export interface ChatOptions {
  /**
   * The path that stands before all of the chat's, as it is in a URL: `"/chat"`. What is not below it goes to `next`.
   * Default `""`: none, or one that the host takes off, as Express does in `app.use("/chat", chat.handler)`.
   */
  readonly path?: string;
  /**
   * Behind a log-in of the host's: the name of who sends a request, or undefined for nobody, who gets a 401. Then the
   * chat has no log-in page, no log-out and no cookie. It is asked at every request, and again when the body of a POST has
   * arrived, so it should be quick. A name that breaks the rules for names is a fault of the host's: 500, and a line in the
   * log. Nor does the chat mind if two people have one name. A poll that is held when somebody logs out at the host goes on
   * to its end, a minute at the most. Default: the chat's own log-in.
   */
  // A method, so that it may take the request of the host's framework.
  identify?(req: IncomingMessage): Identified | PromiseLike<Identified>;
  /** Whether there is `/metrics`, in Prometheus' format, for everybody who can reach it. Default false. */
  readonly metrics?: boolean;
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
  /** Where messages are kept; one store is for one chat. Default: in memory, gone with the process. */
  readonly store?: Store;
  /**
   * Secrets for session cookies: the first signs, all are good. For one chat only: in another with the same secrets, whoever
   * logged in here under a name could take it from who has it there. Default: the store's, or a random one.
   */
  readonly secrets?: Secrets;
  /** Is told, in one line, of faults of ours. Default: `console.error`. */
  readonly log?: (line: string) => void;
}

/** A name, or nobody. */
export type Identified = string | null | undefined;

export type Identify = NonNullable<ChatOptions["identify"]>;

/** Options with their defaults filled in. */
export interface ResolvedOptions extends Required<Omit<ChatOptions, "secrets" | "identify">> {
  readonly identify: Identify | undefined;
  /** To be asked for when the store is open. */
  readonly secrets: () => Secrets;
}

/**
 * Fills in defaults. Throws an error that names the option: a `RangeError` for a number that is none or out of range, a
 * `TypeError` for a value of the wrong type and for a name that is no option.
 */
export function parseOptions(options: ChatOptions): ResolvedOptions {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`createChat takes an object of options, not ${shown(options)}`);
  }
  const { backlog = 1000, path = "", identify, secrets, log = console.error } = options;
  const { metrics = false, trustProxy = false } = options;
  whole("backlog", backlog, 1, 1_000_000);
  const store: Store = options.store === undefined ? new MemoryStore(backlog) : options.store;
  must("path", typeof path === "string" && MOUNT.test(path), path, 'a URL\'s path like "/chat", or ""');
  must("identify", identify === undefined || isFunction(identify), identify, "a function");
  must("metrics", typeof metrics === "boolean", metrics, "true or false");
  must("trustProxy", typeof trustProxy === "boolean", trustProxy, "true or false");
  must("store", isStore(store), store, "a store, like new FileStore(…)");
  // Not `must`, which tells the value.
  if (secrets !== undefined && !areSecrets(secrets)) {
    throw new TypeError("secrets is a list of at least one secret, none of them empty");
  }
  must("log", isFunction(log), log, "a function");
  const random: Secrets = [randomBytes(32)];
  const resolved: ResolvedOptions = {
    ...{ path, identify, metrics, trustProxy, backlog, store, log },
    maxWaiters: whole("maxWaiters", options.maxWaiters, 1, 1_000_000, 10_000),
    maxWaitersPerUser: whole("maxWaitersPerUser", options.maxWaitersPerUser, 1, 1_000_000, 1_000_000),
    maxNames: whole("maxNames", options.maxNames, 1, 10_000_000, 100_000),
    bodyLimit: whole("bodyLimit", options.bodyLimit, 1_024, 1_000_000, 65_536),
    grace: whole("grace", options.grace, 1, 3_600_000, 30_000),
    postRate: between("postRate", options.postRate, 0, 1_000_000, 5),
    loginRate: between("loginRate", options.loginRate, 0, 1_000_000, 5),
    secrets: () => secrets ?? store.secrets ?? random,
  };
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(resolved, name)) throw new TypeError(`createChat has no option ${name}`);
  }
  return resolved;
}

/** Segments as they stand in a URL, none of them empty. */
const MOUNT = /^(\/[\w.~!$&'()*+,;=:@%-]+)*$/;

function must(option: string, isGood: boolean, value: unknown, what: string): void {
  if (!isGood) throw new TypeError(`${option} is ${what}, not ${shown(value)}`);
}

function whole(option: string, value: unknown, least: number, most: number, usual?: number): number {
  const number = between(option, value, least, most, usual);
  if (Number.isInteger(number)) return number;
  throw new RangeError(`${option} is a whole number, not ${shown(value)}`);
}

function between(option: string, value: unknown, least: number, most: number, usual?: number): number {
  if (value === undefined && usual !== undefined) return usual;
  if (typeof value === "number" && value >= least && value <= most) return value;
  throw new RangeError(`${option} is a number from ${least} to ${most}, not ${shown(value)}`);
}

function isFunction(value: unknown): boolean {
  return typeof value === "function";
}

function isStore(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return ["open", "append", "close"].every((name) => isFunction(Reflect.get(value, name)));
}

function areSecrets(value: unknown): boolean {
  if (!Array.isArray(value) || value.length === 0) return false;
  return value.every((one) => (typeof one === "string" || one instanceof Uint8Array) && one.length > 0);
}

/** A wrong value, for a person. */
function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  return typeof value === "object" && value !== null ? "such an object" : String(value);
}
