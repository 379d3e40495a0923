/** A chat in this process, behind a real server on a free port. STORE=redis keeps its messages in a common Redis. */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, inject } from "vitest";
import {
  type Chat,
  type ChatOptions,
  createChat,
  MemoryStore,
  type Message,
  type NewMessage,
  RedisStore,
  type ServeOptions,
  type Store,
  serve,
} from "../../src/index.js";
import { Person } from "./person.js";

export interface Running {
  readonly url: string;
  readonly port: number;
  readonly chat: Chat;
  readonly server: Server;
  /** The lines that the chat logged: internal errors. */
  readonly log: string[];
  /** Stops the server and not the chat. */
  stop(): Promise<unknown>;
  close(): Promise<void>;
}

export interface StartOptions extends ChatOptions {
  /** Puts the chat behind `serve`, as the program does. Default: a server of the host's own. */
  readonly serve?: ServeOptions;
  /** Makes the handler of the server. Default: that of the chat. */
  readonly wrap?: (handler: Chat["handler"]) => RequestListener;
}

/** Starts a chat on a free port, without rates unless the options set them. */
export async function startChat({
  serve: served,
  wrap = (handler) => (req, res) => handler(req, res),
  ...options
}: StartOptions = {}): Promise<Running> {
  const lines: string[] = [];
  const log = (line: string) => lines.push(line);
  const chat = await createChat({ log, postRate: 0, loginRate: 0, store: newStore(log), ...options });
  const handler = wrap(chat.handler);
  const { server, stop } = served ? serve(handler, { log, ...served }) : ownServer(handler);
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  return {
    ...{ url: `http://127.0.0.1:${port}`, port, chat, server, log: lines, stop },
    async close() {
      await chat.close();
      const stopped = stop();
      server.closeAllConnections();
      await stopped;
    },
  };
}

function ownServer(handler: RequestListener): Pick<Running, "server" | "stop"> {
  // As long as the program's own limit, so that a slow machine does not reset an idle connection.
  const server = createServer({ keepAliveTimeout: 75_000 }, handler);
  return { server, stop: async () => server.close() };
}

/** Returns an empty store for one chat. */
function newStore(warn: (line: string) => void): Store {
  if (process.env.STORE !== "redis") return new MemoryStore();
  return new RedisStore({ url: `${inject("redis")}?prefix=${randomUUID()}`, warn });
}

/** A store in memory that fails: it rejects a message with what `fault` returns for it, unless that is undefined. */
export class FaultyStore extends MemoryStore {
  constructor(private readonly fault: (message: NewMessage) => unknown) {
    super();
  }

  override async append(message: NewMessage): Promise<Message> {
    const fault = this.fault(message);
    if (fault !== undefined) throw fault;
    return super.append(message);
  }
}

/** Returns a function that starts chats. They end with their test. None may have logged what is still in its `log`. */
export function chatPerTest(): (options?: StartOptions) => Promise<Running> {
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

/** Returns a function that starts chats like `chatPerTest`, in which Ann and Bob are logged in. They are not present yet. */
export function roomPerTest() {
  const start = chatPerTest();
  return async (options?: StartOptions) => {
    const running = await start(options);
    const [ann, bob] = [await Person.login(running.url, "ann"), await Person.login(running.url, "bob")];
    return { ...running, ann, bob };
  };
}

/** Turns of the event loop before `until` sleeps, so that a long wait leaves the cores to browsers and servers. */
const TURNS = 100;
const SLEEP_MS = 2;

/** Runs the event loop until a condition is true. A test whose condition stays false reaches its time limit. */
export async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; !isSo(); turn++) await (turn < TURNS ? nextTurn() : sleep(SLEEP_MS));
}
