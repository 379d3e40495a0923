#!/usr/bin/env node
/** The program: flags, listening, signals, exit codes. Only this file touches `process`. */
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { parseArgs } from "node:util";
import { createChat } from "./chat.js";

const USAGE =
  "holdline [--host 127.0.0.1] [--port 5000] [--data DIR|none] [--backlog 1000] [--max-waiters 10000]";
/** An idle connection must outlive a proxy's patience (nginx: 60 s), or requests meet a closing door. Milliseconds. */
const KEEP_ALIVE = 75_000;
/** What is still open so long after a signal is cut off, in milliseconds. */
const LAST_CALL = 4_000;

/** Ends the process with one line on standard error that says what to do. Status 2: a wrong flag; 1: all else. */
function giveUp(status: 1 | 2, line: string): never {
  process.stderr.write(`holdline: ${line}\n`);
  process.exit(status);
}

function readFlags() {
  try {
    const { values } = parseArgs({
      options: {
        host: { type: "string", default: "127.0.0.1" },
        port: { type: "string", default: "5000" },
        data: { type: "string", default: "data" },
        backlog: { type: "string", default: "1000" },
        "max-waiters": { type: "string", default: "10000" },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      process.stdout.write(`${USAGE}\n`);
      process.exit(0);
    }
    return {
      host: values.host,
      port: wholeNumber("port", values.port, 0, 65_535),
      backlog: wholeNumber("backlog", values.backlog, 1, 1_000_000),
      maxWaiters: wholeNumber("max-waiters", values["max-waiters"], 1, 1_000_000),
    };
  } catch (error) {
    return giveUp(2, `${error instanceof Error ? error.message.split("\n")[0] : error} Usage: ${USAGE}`);
  }
}

function wholeNumber(flag: string, text: string, least: number, most: number): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= least && number <= most) return number;
  throw new RangeError(`--${flag} takes a whole number, ${least} to ${most}, not "${text}".`);
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

const flags = readFlags();
const log = (line: string) => process.stderr.write(`holdline: ${line}\n`);
const chat = await createChat({ ...flags, log });
const server = createServer({ keepAliveTimeout: KEEP_ALIVE }, chat.handler);

server.on("error", (error) => giveUp(1, listenError(error, flags.host, flags.port)));
server.listen({ host: flags.host, port: flags.port, backlog: 4096 }, () => {
  const { address, family, port } = server.address() as AddressInfo;
  const host = family === "IPv6" ? `[${address}]` : address;
  process.stdout.write(`holdline is listening on http://${host}:${port}\n`);
});

// Connections that have asked nothing yet; Node closes those that idle after an answer, but not these.
const silent = new Set<Socket>();
server.on("connection", (socket) => {
  silent.add(socket);
  const forget = () => silent.delete(socket);
  socket.once("data", forget).once("close", forget);
});

let stopping = false;
async function stop(): Promise<void> {
  // Who asks twice means it.
  if (stopping) process.exit(1);
  stopping = true;
  setTimeout(() => server.closeAllConnections(), LAST_CALL).unref();
  server.close();
  await chat.close();
  for (const socket of silent) socket.destroy();
}
process.on("SIGTERM", stop);
process.on("SIGINT", stop);
