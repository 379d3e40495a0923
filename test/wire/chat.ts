/**
 * A chat in this process, behind a real server on a free port. STORE=file keeps its messages in files, STORE=redis in a
 * Redis that runs during all these tests.
 */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
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
  type Store,
} from "../../src/index.js";

export interface Running {
  readonly url: string;
  readonly chat: Chat;
  readonly server: Server;
  /** The lines that the chat logged: internal errors. */
  readonly log: string[];
  close(): Promise<void>;
}

/** Starts a chat on a free port, without rates unless the options set them. */
export async function startChat(options: ChatOptions = {}): Promise<Running> {
  const log: string[] = [];
  const folder = await mkdtemp(join(tmpdir(), "holdline-"));
  const store = options.store ?? storeOf(folder, options.backlog ?? 1000, (line) => log.push(line));
  const chat = await createChat({
    log: (line) => log.push(line),
    postRate: 0,
    loginRate: 0,
    ...options,
    store,
  });
  // As long as the program's own limit, so that a slow machine does not reset an idle connection.
  const server = createServer({ keepAliveTimeout: 75_000 }, chat.handler);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    chat,
    server,
    log,
    async close() {
      await chat.close();
      server.close();
      server.closeAllConnections();
      await rm(folder, { recursive: true });
    },
  };
}

/** Returns an empty store for one chat. */
function storeOf(folder: string, keep: number, warn: (line: string) => void): Store {
  if (process.env.STORE === "file") return new FileStore({ folder, keep, warn });
  if (process.env.STORE !== "redis") return new MemoryStore();
  return new RedisStore({ url: inject("redis"), prefix: basename(folder), keep, warn });
}

/** Returns a function that starts chats. They end with their test, and none may have logged anything. */
export function chatPerTest(): (options?: ChatOptions) => Promise<Running> {
  const chats: Running[] = [];
  afterEach(async () => {
    for (const { close, log } of chats.splice(0)) {
      await close();
      expect(log).toEqual([]);
    }
  });
  return async (options) => {
    const running = await startChat(options);
    chats.push(running);
    return running;
  };
}

/** Turns of the event loop before `until` sleeps, so that a long wait leaves the cores to browsers and servers. */
const TURNS = 100;
const SLEEP_MS = 2;

/** Runs the event loop until a condition is true. A test whose condition stays false reaches its time limit. */
export async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; !isSo(); turn++) await (turn < TURNS ? nextTurn() : sleep(SLEEP_MS));
}
