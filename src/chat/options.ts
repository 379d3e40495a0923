/** The options of a chat. They are checked once, here. */
import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { MemoryStore } from "../store/memory.js";
import type { Store } from "../store/store.js";
import { isLonger } from "./text.js";

/** A list of at least one secret for session cookies. */
export type Secrets = readonly [string | Uint8Array, ...(string | Uint8Array)[]];

/** Options of a chat. All have defaults. */
export interface ChatOptions {
  /**
   * The path in front of all paths of the chat, as in a URL: `"/chat"`. Requests for other paths go to `next`. Default
   * `""`: the chat is at the root, or the host removes the path, as Express does in `app.use("/chat", chat.handler)`.
   */
  readonly path?: string;
  /**
   * Authenticates requests by the host's log-in. Returns the caller's name, or undefined if the caller is not logged in;
   * then the reply is a 401. With this option the chat has no log-in page and no session cookie, and two people may have
   * one name. The chat calls it for each request, and again when the body of a POST has arrived, so it should be fast. A
   * name that is not allowed is an error of the host: 500, and a line in the log. If a user logs out during a poll, the
   * poll ends with its wait, after at most a minute. Default: the chat's own log-in.
   */
  // A method, so it may take the request type of the host's framework.
  identify?(req: IncomingMessage): Identified | PromiseLike<Identified>;
  /** The title of the pages, 1 to 100 characters. Default `"holdline"`. */
  readonly title?: string;
  /** Whether the chat serves `/metrics`, in the format of Prometheus, to everybody who can reach it. Default false. */
  readonly metrics?: boolean;
  /** How many messages are kept, 1 to 1,000,000. An older cursor gets a gap. Default 1,000. */
  readonly backlog?: number;
  /**
   * How many polls are held at once, 1 to 1,000,000. Beyond that, the oldest poll of the member with the most polls is
   * answered to make room. If no other member has more, the new poll gets a 503. Default 10,000.
   */
  readonly maxWaiters?: number;
  /** How many names are remembered, 1 to 10,000,000. While all of them are held, a log-in gets a 503. Default 100,000. */
  readonly maxNames?: number;
  /** The longest request body in bytes, 1,024 to 1,000,000. A longer one gets a 413. Default 65,536. */
  readonly bodyLimit?: number;
  /**
   * How long a member is present and holds the name after the last poll, page view or post, in milliseconds, 1 to
   * 3,600,000. After a page was closed, it is at most 5,000. Default 30,000.
   */
  readonly grace?: number;
  /** Posts per second and member, 0 to 1,000,000, with bursts of four times that. 0: no limit. More get a 429. Default 5. */
  readonly postRate?: number;
  /** Log-ins per second and address, 0 to 1,000,000, with bursts of four times that. 0: no limit. More get a 429. Default 5. */
  readonly loginRate?: number;
  /**
   * Whether the last value of `X-Forwarded-For`, `-Proto` and `-Host` is used. Set it only behind a proxy that sets these
   * headers; otherwise any caller can choose its address. Default false.
   */
  readonly trustProxy?: boolean;
  /** The store that keeps the messages. A store serves one chat. Default: in memory, until the process ends. */
  readonly store?: Store;
  /**
   * Secrets for session cookies: the first one signs, all are valid. Use them for one chat only: in a second one, a session
   * of the first could take a name. Default: the secrets of the store, or a random one.
   */
  readonly secrets?: Secrets;
  /** Called with one line about an internal error, each kind at most once a minute. Default: `console.error`. */
  readonly log?: (line: string) => void;
}

/** A name; undefined or null if the caller is not logged in. */
export type Identified = string | null | undefined;

export type Identify = NonNullable<ChatOptions["identify"]>;

/** Options with their defaults filled in. */
export interface ResolvedOptions extends Required<Omit<ChatOptions, "secrets" | "identify">> {
  readonly identify: Identify | undefined;
  /** Returns the secrets. Called after the store was opened. */
  readonly secrets: () => Secrets;
}

/** The longest title, in code points. */
const MAX_TITLE_LENGTH = 100;
/** Segments as in a URL, none of them empty. */
const MOUNT = /^(\/[\w.~!$&'()*+,;=:@%-]+)*$/;

/**
 * Returns the options with their defaults. Throws an error that names the option: a `RangeError` for a wrong number, and a
 * `TypeError` for any other wrong value or an unknown option. It does not show the value, because that
 * may be a secret.
 */
export function parseOptions(options: ChatOptions): ResolvedOptions {
  if (typeof options !== "object" || options === null) throw new TypeError("createChat takes options");
  const { path = "", title = "holdline", identify, metrics = false, trustProxy = false } = options;
  const { secrets, log = console.error, store = new MemoryStore() as Store } = options;
  const check = (option: keyof ChatOptions, isValid: boolean, rule: string) => {
    if (!isValid) throw new TypeError(`${option} must be ${rule}`);
  };
  // Only a rate may have a fraction.
  const number = (option: keyof ChatOptions, min: number, max: number, fallback: number): number => {
    const { [option]: value = fallback } = options;
    const isRate = option.endsWith("Rate");
    const isInRange = typeof value === "number" && value >= min && value <= max;
    if (isInRange && (isRate || Number.isInteger(value))) return value;
    throw new RangeError(`${option} must be a ${isRate ? "" : "whole "}number from ${min} to ${max}`);
  };
  const isTitle = typeof title === "string" && title.trim() !== "" && !isLonger(title, MAX_TITLE_LENGTH);
  const isStore = [store?.open, store?.append, store?.close].every((method) => typeof method === "function");
  const isSecret = (one: unknown) => (typeof one === "string" || one instanceof Uint8Array) && one.length > 0;
  const areSecrets = Array.isArray(secrets) && secrets.length > 0 && secrets.every(isSecret);
  check("path", typeof path === "string" && MOUNT.test(path), 'a path as in a URL, like "/chat", or ""');
  check("title", isTitle, `a text of 1 to ${MAX_TITLE_LENGTH} characters`);
  check("identify", identify === undefined || typeof identify === "function", "a function");
  check("metrics", typeof metrics === "boolean", "true or false");
  check("trustProxy", typeof trustProxy === "boolean", "true or false");
  check("store", isStore, "a store, like new FileStore(…)");
  check("log", typeof log === "function", "a function");
  check("secrets", secrets === undefined || areSecrets, "a list of secrets, none of them empty");
  const random: Secrets = [randomBytes(32)];
  const resolved: ResolvedOptions = {
    path,
    title,
    identify,
    metrics,
    trustProxy,
    store,
    log,
    backlog: number("backlog", 1, 1_000_000, 1000),
    maxWaiters: number("maxWaiters", 1, 1_000_000, 10_000),
    maxNames: number("maxNames", 1, 10_000_000, 100_000),
    bodyLimit: number("bodyLimit", 1_024, 1_000_000, 65_536),
    grace: number("grace", 1, 3_600_000, 30_000),
    postRate: number("postRate", 0, 1_000_000, 5),
    loginRate: number("loginRate", 0, 1_000_000, 5),
    secrets: () => secrets ?? store.secrets ?? random,
  };
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(resolved, name)) throw new TypeError(`createChat has no option ${name}`);
  }
  return resolved;
}
