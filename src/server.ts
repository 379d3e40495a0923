#!/usr/bin/env node
/** The program: flags, listening, signals, exit codes. Only this file touches `process`. */
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { createChat } from "./chat/chat.js";
import { serve } from "./http/serve.js";
import { FileStore } from "./store/file.js";
import { MemoryStore } from "./store/memory.js";
import { RedisStore } from "./store/redis.js";
import type { Store } from "./store/store.js";

const USAGE =
  "holdline [--host 127.0.0.1] [--port 5000] [--data DIR|none] [--redis URL] [--backlog 1000] [--max-waiters 10000] " +
  "[--post-rate 5] [--login-rate 5] [--metrics] [--trust-proxy]";
/** What is still open so long after a signal is cut off, in milliseconds. */
const LAST_CALL = 4_000;
/** A process that is still there so long after a signal is ended, in milliseconds. */
const EXIT_TIMEOUT_MS = 4_500;

/** Connections beyond those of waiters: for posts, pages, and people who are turned away with a word. */
const SPARE_CONNECTIONS = 2_000;

/** Ends the process with one line on standard error that says what to do. Status 2: a wrong flag; 1: all else. */
function giveUp(status: 1 | 2, line: string): never {
  process.stderr.write(`holdline: ${line}\n`);
  process.exit(status);
}

const FLAGS = {
  host: { type: "string", default: "127.0.0.1" },
  port: { type: "string", default: "5000" },
  data: { type: "string" },
  redis: { type: "string" },
  backlog: { type: "string", default: "1000" },
  "max-waiters": { type: "string", default: "10000" },
  "post-rate": { type: "string", default: "5" },
  "login-rate": { type: "string", default: "5" },
  metrics: { type: "boolean", default: false },
  "trust-proxy": { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

function readFlags() {
  try {
    const { values } = parseArgs({ options: FLAGS });
    if (values.help) {
      process.stdout.write(`${USAGE}\n`);
      process.exit(0);
    }
    // An empty one is a variable that was not set; to Node it would mean every address there is.
    if (values.host === "" || values.data === "") throw new RangeError("--host and --data must not be empty");
    if (values.redis !== undefined && values.data !== undefined && values.data !== "none") {
      throw new RangeError("--redis keeps messages in Redis, so --data has nothing to keep; choose one");
    }
    return {
      host: values.host,
      data: values.data ?? "data",
      redis: values.redis,
      port: number("port", values.port, 65_535),
      options: {
        metrics: values.metrics,
        trustProxy: values["trust-proxy"],
        backlog: number("backlog", values.backlog, 1_000_000, 1),
        maxWaiters: number("max-waiters", values["max-waiters"], 1_000_000, 1),
        postRate: number("post-rate", values["post-rate"], 1_000_000),
        loginRate: number("login-rate", values["login-rate"], 1_000_000),
      },
    };
  } catch (error) {
    return giveUp(2, `${wrongFlag(error)}. Usage: ${USAGE}`);
  }
}

function wrongFlag(error: unknown): string {
  // Not what it was: it may be a URL with a password, whose flag was forgotten.
  if (error instanceof Error && "code" in error && error.code === "ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL")
    return "every argument begins with a flag";
  return error instanceof Error ? `${error.message.split("\n")[0]?.replace(/\.$/, "")}` : String(error);
}

function storeOf(data: string, redis: string | undefined, keep: number): Store {
  if (redis === undefined) {
    return data === "none" ? new MemoryStore(keep) : new FileStore({ folder: data, keep, warn: log });
  }
  try {
    return new RedisStore({ url: redis, keep, warn: log });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return giveUp(2, `--redis: ${error.message}. Usage: ${USAGE}`);
  }
}

/** A flag's number. Rates may have a fraction; all else is whole. */
function number(flag: string, text: string, most: number, least = 0): number {
  const value = Number(text);
  const shape = flag.endsWith("-rate") ? /^\d+(\.\d+)?$/ : /^\d+$/;
  if (shape.test(text) && value >= least && value <= most) return value;
  throw new RangeError(`--${flag} takes a number from ${least} to ${most}, not "${text}"`);
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): string {
  if (error.code === "EADDRINUSE") return `port ${port} on ${host} is in use; choose another with --port.`;
  if (error.code === "EACCES")
    return `port ${port} may not be used by this user; choose one above 1023 with --port.`;
  if (error.code === "EADDRNOTAVAIL" || error.code === "ENOTFOUND") {
    return `${host} is not an address of this machine; choose another with --host.`;
  }
  return `cannot listen on ${host}:${port}: ${error.message}`;
}

// Whoever read our output may go away; that must not end the room, and there is nobody left to tell.
for (const output of [process.stdout, process.stderr]) output.on("error", () => {});

/**
 * Ends the process at once. `process.exit` waits for calls to the file system that are under way, on a disk that hangs
 * for ever (seen on Node 20), so then only SIGKILL ends it.
 */
function exitNow(status: 0 | 1): void {
  if (process.getActiveResourcesInfo().some((resource) => resource.startsWith("FSReq"))) {
    process.stderr.write(
      "holdline: a call to the disk does not return, so this process ends itself with SIGKILL\n",
    );
    process.kill(process.pid, "SIGKILL");
  }
  process.exit(status);
}

let stopping = false;
// Until the store is open there is nobody to answer.
let drain = (): void => undefined;
function onSignal(): void {
  // Who asks twice means it.
  if (stopping) exitNow(1);
  stopping = true;
  setTimeout(() => exitNow(0), EXIT_TIMEOUT_MS).unref();
  drain();
}
process.on("SIGTERM", onSignal);
process.on("SIGINT", onSignal);

const { host, port, data, redis, options } = readFlags();
const log = (line: string) => process.stderr.write(`holdline: ${line}\n`);
const store = storeOf(data, redis, options.backlog);
const chat = await createChat({ ...options, store, log }).catch((error: Error) => {
  const isErrno = error.cause instanceof Error && "errno" in error.cause;
  const advice = isErrno ? "; choose another folder with --data, or --data none" : "";
  return giveUp(1, error.message + advice);
});
if (stopping) {
  await chat.close();
  process.exit(0);
}
const { server, stop } = serve(chat.handler, { log, maxConnections: options.maxWaiters + SPARE_CONNECTIONS });

const failed = (error: Error) => giveUp(1, listenError(error, host, port));
server.once("error", failed);
server.listen({ host, port, backlog: 4096 }, () => {
  server.off("error", failed);
  const at = server.address() as AddressInfo;
  const address = at.family === "IPv6" ? `[${at.address}]` : at.address;
  process.stdout.write(`holdline is listening on http://${address}:${at.port}\n`);
});

drain = () => {
  setTimeout(() => server.closeAllConnections(), LAST_CALL).unref();
  // In this order: to close the door would cut off answers that are on their way.
  void stop();
  void chat.close();
};
