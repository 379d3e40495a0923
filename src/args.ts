/** The command line of the program: its flags, their defaults, and the text of `--help`. */
import { parseArgs } from "node:util";

interface Flag {
  readonly type: "string" | "boolean";
  /** The name of the value in `--help`. */
  readonly value?: string;
  readonly usual?: string;
  /** The environment variable that stands in for the flag. */
  readonly variable?: string;
  readonly short?: string;
  readonly help: string;
}

const VALUE = { type: "string" } as const;
const SWITCH = { type: "boolean" } as const;
const EVERY_HOST = "listen on this address; :: is every address";
const FREE_PORT = "listen on this port; 0 is any free port";

const FLAGS = {
  host: { ...VALUE, value: "HOST", usual: "127.0.0.1", variable: "HOST", help: EVERY_HOST },
  port: { ...VALUE, value: "PORT", usual: "5000", variable: "PORT", help: FREE_PORT },
  data: { ...VALUE, value: "DIR", usual: "data", help: "keep messages in this folder; none is in memory" },
  redis: { ...VALUE, value: "URL", usual: "none", help: "keep messages in Redis, for several processes" },
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
 * `RangeError` that names the flag, or the variable, and says what is wrong with it.
 */
export function parseCommand(args: readonly string[], env: Record<string, string | undefined>) {
  const given = readFlags(args);
  const find = (name: Name) => {
    const { variable = "", usual = "" }: Flag = FLAGS[name];
    const value = given[name];
    // An empty variable counts as one that is not set.
    if (value === undefined && env[variable]) return { label: variable, value: env[variable] };
    return { label: `--${name}`, value: `${value ?? usual}` };
  };
  const text = (name: Name) => {
    const { label, value } = find(name);
    if (value.trim() === "") throw new RangeError(`${label} must not be empty`);
    return value;
  };
  const number = (name: Name, least: number, most: number, shape = /^\d+$/) => {
    const { label, value } = find(name);
    if (shape.test(value) && Number(value) >= least && Number(value) <= most) return Number(value);
    throw new RangeError(`${label} must be a number from ${least} to ${most}, not ${JSON.stringify(value)}`);
  };
  const rate = (name: Name) => number(name, 0, 1_000_000, /^\d+(\.\d+)?$/);

  const redis = given.redis === undefined ? undefined : text("redis");
  if (redis !== undefined && given.data !== undefined && given.data !== "none") {
    throw new RangeError("--data and --redis exclude each other; choose one");
  }
  const title = text("title");
  if ([...title].length > 100) throw new RangeError("--title must have at most 100 characters");
  return {
    ...{ help: given.help, version: given.version },
    ...{ host: text("host"), port: number("port", 0, 65_535), data: text("data"), redis },
    options: {
      title,
      backlog: number("backlog", 1, 1_000_000),
      maxWaiters: number("max-waiters", 1, 1_000_000),
      postRate: rate("post-rate"),
      loginRate: rate("login-rate"),
      metrics: given.metrics ?? false,
      trustProxy: given["trust-proxy"] ?? false,
    },
  };
}

/**
 * Returns the flags that are given, with their values. Of a flag that is given twice, the last one counts. Throws a
 * `RangeError` for an argument that is no flag, and for a value that is missing or too much.
 */
function readFlags(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options: FLAGS, allowPositionals: true });
    if (positionals.length > 0) throw new TypeError(`unexpected argument: ${positionals[0]}`);
    return values;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // A URL may contain a password.
    const lines = error.message.replace(/\/\/.*@/, "//...@").split("\n");
    // The last line says what to do. Node adds a sentence about arguments that are no flags, of which there are none.
    const [sentence] = (lines.at(-1) ?? "").split(/\.(?: |$)/);
    throw new RangeError(sentence);
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
