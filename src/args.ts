/** The command line of the program: its flags, their defaults, and the text of `--help`. */
import { parseArgs } from "node:util";

interface Flag {
  readonly type: "string" | "boolean";
  /** The name of the value in `--help`. */
  readonly value?: string;
  /** The default, as `--help` shows it. */
  readonly usual?: string;
  /** The environment variable that stands in for the flag. */
  readonly variable?: string;
  readonly short?: string;
  readonly help: string;
}

const VALUE = { type: "string" } as const;
const SWITCH = { type: "boolean" } as const;
const HOST_HELP = "listen on this address; :: is every address";
const PORT_HELP = "listen on this port; 0 is any free port";

const FLAGS = {
  host: { ...VALUE, value: "HOST", usual: "127.0.0.1", variable: "HOST", help: HOST_HELP },
  port: { ...VALUE, value: "PORT", usual: "5000", variable: "PORT", help: PORT_HELP },
  data: { ...VALUE, value: "DIR", usual: "data", help: "keep messages in this folder; none is in memory" },
  redis: { ...VALUE, value: "URL", help: "keep messages in Redis, for several processes" },
  title: { ...VALUE, value: "TEXT", usual: "holdline", help: "the title of the pages" },
  backlog: { ...VALUE, value: "N", usual: "1000", help: "messages that are kept" },
  "max-waiters": { ...VALUE, value: "N", usual: "10000", help: "polls that are held at once" },
  "post-rate": { ...VALUE, value: "N", usual: "5", help: "posts per second and user; 0 is no limit" },
  "login-rate": { ...VALUE, value: "N", usual: "5", help: "log-ins per second and address; 0 is no limit" },
  metrics: { ...SWITCH, usual: "off", help: "serve /metrics in the format of Prometheus" },
  "trust-proxy": { ...SWITCH, usual: "off", help: "believe the X-Forwarded headers of a proxy in front" },
  help: { ...SWITCH, short: "h", help: "print this list" },
  version: { ...SWITCH, short: "v", help: "print the version" },
} as const satisfies Record<string, Flag>;
type Name = keyof typeof FLAGS;

/** What the command line asks for. */
export type Command = ReturnType<typeof parseCommand>;

/**
 * Parses the arguments of the program. An environment variable stands in for a flag that is not given. Throws a
 * `RangeError` that names the flag and says what is wrong with it. The numbers in `options` are checked by the chat.
 */
export function parseCommand(args: readonly string[], env: Record<string, string | undefined>) {
  const given = readFlags(args);
  const text = (name: Name): string => {
    const { variable = "", usual = "" }: Flag = FLAGS[name];
    // An empty variable counts as one that is not set.
    const value = `${given[name] ?? (env[variable] || usual)}`;
    if (value.trim() === "") throw new RangeError(`--${name} must not be empty`);
    return value;
  };
  // NaN for `0x10` and `1e3`, which are probably mistakes.
  const number = (name: Name): number => Number(/^\d+(\.\d+)?$/.exec(text(name))?.[0] ?? Number.NaN);

  const { help, version, redis } = given;
  const [host, port, data, title] = [text("host"), number("port"), text("data"), text("title")];
  if (!(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    throw new RangeError("--port, or the variable PORT, must be a whole number from 0 to 65535");
  }
  if (redis !== undefined && given.data !== undefined && given.data !== "none") {
    throw new RangeError("--data and --redis exclude each other; choose one");
  }
  if ([...title].length > 100) throw new RangeError("--title must have at most 100 characters");
  const options = {
    title,
    backlog: number("backlog"),
    maxWaiters: number("max-waiters"),
    postRate: number("post-rate"),
    loginRate: number("login-rate"),
    metrics: given.metrics ?? false,
    trustProxy: given["trust-proxy"] ?? false,
  };
  return { help, version, host, port, data, redis, options };
}

/**
 * Returns the flags that are given, with their values. If a flag is given twice, the last value counts. Throws a
 * `RangeError` for an unknown argument, a missing value, and a value that the flag does not take.
 */
function readFlags(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: FLAGS }).values;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // The first sentence of the last line says what to do. A URL may contain a password.
    const line = error.message.replace(/^.*\n/s, "").replace(/\/\/.*@/, "//...@");
    const sentence = line.replace(/\.( .*)?$/, "");
    throw new RangeError(sentence.replace(/^Unexpected argument '(.*)'$/s, "unexpected argument: $1"));
  }
}

/** The text of `--help`: one line for each flag, with its default. */
export function helpText(): string {
  const lines = Object.entries<Flag>(FLAGS).map(([name, { value, usual, variable, short, help }]) => {
    const flag = `${short ? `-${short}, ` : ""}--${name}${value ? ` ${value}` : ""}`;
    const notes = [usual && `default ${usual}`, variable && `or $${variable}`].filter(Boolean).join(", ");
    return `  ${flag.padEnd(18)}  ${help}${notes && ` (${notes})`}\n`;
  });
  return `Starts a chat room.\n\nUsage: holdline [flags]\n\n${lines.join("")}`;
}
