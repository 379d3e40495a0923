/**
 * A chat in this process, behind a real server on a free port. STORE=file keeps its messages in files, STORE=redis in a
 * Redis that runs during all these tests.
 */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, inject } from "vitest";
import {
  type Chat,
  type ChatOptions,
  createChat,
  FileStore,
  MemoryStore,
  RedisStore,
  type ServeOptions,
  type Serving,
  type Store,
  serve,
} from "../../src/index.js";

export interface Running {
  readonly url: string;
  readonly port: number;
  readonly chat: Chat;
  readonly server: Server;
  /** The lines that the chat logged: internal errors. */
  readonly log: string[];
  close(): Promise<void>;
}

/** Starts a chat on a free port, without rates unless the options set them. */
export async function startChat(options: ChatOptions = {}): Promise<Running> {
  const started = await prepare(options);
  // As long as the program's own limit, so that a slow machine does not reset an idle connection.
  const server = createServer({ keepAliveTimeout: 75_000 }, started.chat.handler);
  return listen(started, server, () => server.close());
}

interface Prepared {
  readonly chat: Chat;
  readonly log: string[];
  readonly folder: string;
}

async function prepare(options: ChatOptions): Promise<Prepared> {
  const log: string[] = [];
  const folder = await mkdtemp(join(tmpdir(), "holdline-"));
  const warn = (line: string) => log.push(line);
  const store = options.store ?? storeOf(folder, options.backlog ?? 1000, warn);
  const chat = await createChat({ log: warn, postRate: 0, loginRate: 0, ...options, store });
  return { chat, log, folder };
}

async function listen(
  { chat, log, folder }: Prepared,
  server: Server,
  stop: () => unknown,
): Promise<Running> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  return {
    ...{ url: `http://127.0.0.1:${port}`, port, chat, server, log },
    async close() {
      await chat.close();
      const stopped = stop();
      server.closeAllConnections();
      await stopped;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Returns an empty store for one chat. */
function storeOf(folder: string, keep: number, warn: (line: string) => void): Store {
  if (process.env.STORE === "file") return new FileStore({ folder, keep, warn });
  if (process.env.STORE !== "redis") return new MemoryStore();
  return new RedisStore({ url: inject("redis"), prefix: basename(folder), keep, warn });
}

const chats: Running[] = [];

/** Ends the chats of a test. None may have logged anything that the test did not take out of its `log`. */
async function endChats(): Promise<void> {
  for (const { close, log } of chats.splice(0)) {
    await close();
    expect(log).toEqual([]);
  }
}

/** Returns a function that starts chats, which end with their test. */
export function chatPerTest(): (options?: ChatOptions) => Promise<Running> {
  afterEach(endChats);
  return async (options) => {
    const running = await startChat(options);
    chats.push(running);
    return running;
  };
}

/** Returns a function that starts chats behind `serve`, as the program does. They end with their test. */
export function servedPerTest() {
  afterEach(endChats);
  return async (
    options: Omit<ServeOptions, "log"> = {},
    wrap: (handler: RequestListener) => RequestListener = (handler) => handler,
  ): Promise<Running & { readonly serving: Serving }> => {
    const prepared = await prepare({});
    const log = (line: string) => prepared.log.push(line);
    const serving = serve(wrap(prepared.chat.handler), { ...options, log });
    const running = await listen(prepared, serving.server, () => serving.stop());
    chats.push(running);
    return { ...running, serving };
  };
}

/** Turns of the event loop before `until` sleeps, so that a long wait leaves the cores to browsers and servers. */
const TURNS = 100;
const SLEEP_MS = 2;

/** Runs the event loop until a condition is true. A test whose condition stays false reaches its time limit. */
export async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; !isSo(); turn++) await (turn < TURNS ? nextTurn() : sleep(SLEEP_MS));
}
