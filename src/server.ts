#!/usr/bin/env node
/** The program: flags, listening, signals, exit codes. Only this file touches `process`. */
import { once } from "node:events";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { type Command, helpText, parseCommand } from "./args.js";
import { createChat } from "./chat/chat.js";
import { serve } from "./http/serve.js";
import { FileStore } from "./store/file.js";
import { MemoryStore } from "./store/memory.js";
import { RedisStore } from "./store/redis.js";

/** The time from a signal until the process ends in any case. Connections that are still open are closed then. */
const EXIT_TIMEOUT_MS = 4_500;
/** Connections beyond those of polls: for posts, for pages, and for polls that are refused. */
const SPARE_CONNECTIONS = 1_000;
/** A heap is large from this size on, in bytes. */
const LARGE_HEAP_BYTES = 24 * 1024 * 1024;

function log(line: string): void {
  process.stderr.write(`holdline: ${line}\n`);
}

// The reader of the output may end first. That must not end the chat.
for (const output of [process.stdout, process.stderr]) output.on("error", () => {});

/**
 * Ends the process at once. `process.exit` waits for calls to the file system that are under way. On a disk that hangs it
 * waits for ever (seen on Node 20), and only SIGKILL ends the process.
 */
function exitNow(status: 0 | 1): void {
  if (process.getActiveResourcesInfo().some((resource) => resource.startsWith("FSReq"))) {
    log("the disk does not answer, so this process ends itself with SIGKILL");
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

function storeOf({ data, redis }: Command): FileStore | MemoryStore | RedisStore {
  if (redis !== undefined) return new RedisStore({ url: redis, warn: log });
  return data === "none" ? new MemoryStore() : new FileStore({ folder: data, warn: log });
}

async function start(): Promise<void> {
  const command = parseCommand(process.argv.slice(2), process.env);
  if (command.help || command.version) {
    const { version }: { version: string } = createRequire(import.meta.url)("../package.json");
    process.stdout.write(command.help ? helpText() : `${version}\n`);
    return;
  }
  const { host, port, options } = command;
  const store = storeOf(command);
  const chat = await createChat({ ...options, store, log });
  if (stopping) process.exit(0);
  // A large heap may grow by a quarter before it is cleaned. With V8's default it may grow to four times its size, and the
  // closed connections of a hostile client stay in memory until then. A small heap keeps the default: with a quarter
  // it is cleaned so often that polls of 1,000 clients take 30% more processor time. Checked four times a second.
  setInterval(() => {
    const percent = getHeapStatistics().used_heap_size > LARGE_HEAP_BYTES ? 25 : 0;
    setFlagsFromString(`--heap-growing-percent=${percent}`);
  }, 250).unref();
  const { server, stop } = serve(chat.handler, { log });
  server.maxConnections = options.maxWaiters + SPARE_CONNECTIONS;
  drain = () => {
    // In this order, so that answers that are on their way are not cut off.
    void stop();
    void chat.close();
  };
  await once(server.listen({ host, port, backlog: 4096 }), "listening");
  const { port: boundPort } = server.address() as AddressInfo;
  const address = `http://${host.includes(":") ? `[${host}]` : host}:${boundPort}`;
  process.stdout.write(`holdline is listening on ${address}\nmessages are kept in ${store.place}\n`);
}

await start().catch((error: NodeJS.ErrnoException) => {
  const isFlag = error instanceof RangeError;
  const toFlag = (option: string) => `--${option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  // The chat reports a wrong flag under the name of its option.
  if (isFlag) log(`${error.message.replace(/^\w+(?= must be )/, toFlag)}; holdline --help lists all flags`);
  // A store puts the errors of its system calls into one of its own.
  else if (/^(listen|getaddrinfo)$/.test(error.syscall ?? ""))
    log(`${error.message}; choose another address with --host or --port`);
  else log(error.syscall ? error.message : `${error.message}; choose another place with --data or --redis`);
  process.exit(isFlag ? 2 : 1);
});
