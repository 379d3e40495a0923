#!/usr/bin/env node
/** The program: flags, listening, signals, exit codes. Only this file touches `process`. */
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { setFlagsFromString } from "node:v8";
import { type Command, helpText, parseCommand } from "./args.js";
import { createChat } from "./chat/chat.js";
import { serve } from "./http/serve.js";
import { FileStore } from "./store/file.js";
import { MemoryStore } from "./store/memory.js";
import { parseUrl } from "./store/options.js";
import { RedisStore } from "./store/redis.js";
import type { Store } from "./store/store.js";

/** The time from a signal until open connections are closed. */
const CLOSE_TIMEOUT_MS = 4_000;
/** The time from a signal until the process ends in any case. */
const EXIT_TIMEOUT_MS = 4_500;
/** Connections beyond those of polls: for posts, for pages, and for polls that are refused. */
const SPARE_CONNECTIONS = 2_000;

/** Ends the process with one line on standard error. Status 2: a wrong flag. Status 1: everything else. */
function giveUp(status: 1 | 2, line: string): never {
  process.stderr.write(`holdline: ${line}\n`);
  process.exit(status);
}

/** Returns what `read` returns. Ends the process if a flag is wrong. */
function orGiveUp<T>(read: () => T, context = ""): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return giveUp(2, `${context}${error.message}; holdline --help lists all flags`);
  }
}

/** Returns the store, and where it keeps messages, in words. */
function storeOf({ data, redis }: Command): { store: Store; place: string } {
  if (redis !== undefined) {
    const place = `in Redis at ${parseUrl(redis).place}`;
    return { store: new RedisStore({ url: redis, warn: log }), place };
  }
  if (data === "none") return { store: new MemoryStore(), place: "in memory" };
  return { store: new FileStore({ folder: data, warn: log }), place: `in ${data}` };
}

/** Why the server cannot listen, and what to do. */
const NO_ADDRESS = "it is not an address of this machine; choose another one with --host";
const LISTEN_ERRORS = new Map([
  ["EADDRINUSE", "the port is in use; choose another one with --port"],
  ["EACCES", "this user may not use this port; choose one above 1023 with --port"],
  ["EADDRNOTAVAIL", NO_ADDRESS],
  ["ENOTFOUND", NO_ADDRESS],
]);

// The heap may grow by a quarter of the memory in use before it is cleaned. V8's default is up to four times as much, and the
// closed connections of a hostile client stay in memory until then.
setFlagsFromString("--heap-growing-percent=25");

// The reader of the output may end first. That must not end the chat.
for (const output of [process.stdout, process.stderr]) output.on("error", () => {});

/**
 * Ends the process at once. `process.exit` waits for calls to the file system that are under way. On a disk that hangs it
 * waits for ever (seen on Node 20), and only SIGKILL ends the process.
 */
function exitNow(status: 0 | 1): void {
  if (process.getActiveResourcesInfo().some((resource) => resource.startsWith("FSReq"))) {
    process.stderr.write("holdline: the disk does not answer, so this process ends itself with SIGKILL\n");
    process.kill(process.pid, "SIGKILL");
  }
  process.exit(status);
}

let stopping = false;
// Until the store is open there are no polls to answer.
let drain = (): void => undefined;
function onSignal(): void {
  // A second signal ends the process at once.
  if (stopping) exitNow(1);
  stopping = true;
  setTimeout(() => exitNow(0), EXIT_TIMEOUT_MS).unref();
  drain();
}
process.on("SIGTERM", onSignal);
process.on("SIGINT", onSignal);

const command = orGiveUp(() => parseCommand(process.argv.slice(2), process.env));
if (command.help || command.version) {
  const { version }: { version: string } = createRequire(import.meta.url)("../package.json");
  process.stdout.write(command.help ? helpText() : `${version}\n`);
  process.exit(0);
}
const { host, port, options } = command;
const log = (line: string) => process.stderr.write(`holdline: ${line}\n`);
const { store, place } = orGiveUp(() => storeOf(command), "--redis: ");
const chat = await createChat({ ...options, store, log }).catch((error: Error) => {
  const advice = command.redis === undefined ? "; choose another folder with --data, or --data none" : "";
  return giveUp(1, error.message + advice);
});
if (stopping) process.exit(0);
const { server, stop } = serve(chat.handler, { log, maxConnections: options.maxWaiters + SPARE_CONNECTIONS });

const failed = ({ code = "", message }: NodeJS.ErrnoException) => {
  giveUp(1, `cannot listen on ${host}:${port}: ${LISTEN_ERRORS.get(code) ?? message}`);
};
server.once("error", failed);
server.listen({ host, port, backlog: 4096 }, () => {
  server.off("error", failed);
  const at = server.address() as AddressInfo;
  const address = at.family === "IPv6" ? `[${at.address}]` : at.address;
  process.stdout.write(`holdline is listening on http://${address}:${at.port}\nmessages are kept ${place}\n`);
});

drain = () => {
  setTimeout(() => server.closeAllConnections(), CLOSE_TIMEOUT_MS).unref();
  // In this order, so that answers that are on their way are not cut off.
  void stop();
  void chat.close();
};
