/** A chat in this process, behind a real server on a free port. STORE=redis keeps its messages in a common Redis. */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { expect, inject, onTestFinished, vi } from "vitest";
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

export type Running = Awaited<ReturnType<typeof startChat>>;

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
}: StartOptions = {}) {
  /** The lines that the chat logged: internal errors. */
  const log: string[] = [];
  const write = (line: string) => log.push(line);
  const chat = await createChat({
    log: write,
    postRate: 0,
    loginRate: 0,
    store: newStore(write),
    ...options,
  });
  const handler = wrap(chat.handler);
  // Idle as long as the program's own limit, so that a slow machine does not reset a connection.
  const own = createServer({ keepAliveTimeout: 75_000 }, handler);
  /** `stop` stops the server and not the chat. */
  const { server, stop } = served
    ? serve(handler, { log: write, ...served })
    : { server: own, stop: async () => void own.close() };
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const close = async () => {
    await chat.close();
    const stopped = stop();
    server.closeAllConnections();
    await stopped;
  };
  return { url: `http://127.0.0.1:${port}`, port, chat, server, log, stop, close };
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

/** Starts a chat that ends with its test, and with it fake clocks and spies. A line that is still in its `log` is a failure. */
export async function start(options?: StartOptions): Promise<Running> {
  const running = await startChat(options);
  onTestFinished(async () => {
    vi.useRealTimers();
    vi.restoreAllMocks();
    await running.close();
    expect(running.log).toEqual([]);
  });
  return running;
}

/** Starts a chat like `start`, in which Ann and Bob are logged in. They are not present yet. */
export async function startRoom(options?: StartOptions) {
  const running = await start(options);
  const [ann, bob] = [await Person.login(running.url, "ann"), await Person.login(running.url, "bob")];
  return { ...running, ann, bob };
}

export type RunningRoom = Awaited<ReturnType<typeof startRoom>>;

/** Stops the clock and the timers that a chat of this process shares, until the chat ends. Call it before the chat starts. */
export function stopClock(): void {
  vi.useFakeTimers({ toFake: ["performance", "setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
}

/** Advances the stopped clock by this many milliseconds. Due timers run. */
export const moveClock = (ms: number) => void vi.advanceTimersByTime(ms);

/** Moves the wall clock by this many milliseconds and stops it. */
export function moveDate(ms: number): void {
  const now = Date.now();
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.setSystemTime(now + ms);
}

/** Turns of the event loop before `until` sleeps, so that a long wait leaves the cores to browsers and servers. */
const TURNS = 100;
const SLEEP_MS = 2;

/** Runs the event loop until a condition is true. A test whose condition stays false reaches its time limit. */
export async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; !isSo(); turn++) await (turn < TURNS ? nextTurn() : sleep(SLEEP_MS));
}
