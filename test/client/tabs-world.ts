/** A browser with several tabs and the room that they poll, with fake locks, channels and server. */
import { vi } from "vitest";
import type { Message } from "../../src/client/index.js";
import { SharedPoll, type SharedPollOptions } from "../../src/client/tabs.js";
import { message, reply } from "./fake.js";

/** The room: its messages and its held polls. */
export class World {
  readonly messages: Message[] = [];
  /** The `since` and the `wait` of each poll. */
  readonly asked: string[] = [];
  /** The reply to all polls, once it is set. */
  refusal: (() => Response) | undefined;
  readonly tabs: Tab[] = [];
  readonly channels = new Set<FakeChannel>();
  readonly locks = new FakeLocks();
  readonly #waiters = new Set<() => void>();

  /** The number of held polls. */
  get waiting(): number {
    return this.#waiters.size;
  }

  get end(): string {
    return this.messages.at(-1)?.id ?? "0-0";
  }

  say(text: string): void {
    this.messages.push(message(`${this.messages.length + 1}-0`, text));
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const wake of waiters) wake();
  }

  readonly fetch: typeof globalThis.fetch = async (url, init) => {
    const query = new URL(String(url)).searchParams;
    const since = query.get("since") ?? "";
    this.asked.push(`${since} ${query.get("wait")}`);
    if (this.refusal) return this.refusal();
    const seen = Number.parseInt(since, 10);
    if (query.get("wait") !== "0" && this.messages.length === seen) {
      await new Promise<void>((resolve, reject) => {
        this.#waiters.add(resolve);
        init?.signal?.addEventListener("abort", () => {
          this.#waiters.delete(resolve);
          reject(init.signal?.reason);
        });
      });
    }
    return reply(this.end, this.messages.slice(seen));
  };

  /** Opens a hidden tab whose page shows everything up to now, or up to `since`. */
  open(options: Partial<SharedPollOptions> = {}, isVisible = false): Tab {
    const tab = new Tab(this, options, isVisible);
    this.tabs.push(tab);
    return tab;
  }
}

export class Tab {
  readonly texts: string[] = [];
  readonly states: string[] = [];
  readonly poll: SharedPoll;
  /** This tab's end of the channel. */
  readonly channel: FakeChannel | undefined;
  gaps = 0;
  isVisible: boolean;

  constructor(world: World, options: Partial<SharedPollOptions>, isVisible: boolean) {
    this.isVisible = isVisible;
    this.poll = new SharedPoll({
      base: "http://chat.test/",
      user: "ann",
      name: "the room",
      fetch: world.fetch,
      since: world.end,
      onBatch: ({ messages, gap }) => {
        if (gap) this.gaps++;
        this.texts.push(...messages.map(({ text }) => text));
      },
      onState: (state) => this.states.push(state.name === "stopped" ? state.reason : state.name),
      ...options,
    });
    this.start();
    this.channel = [...world.channels].pop();
  }

  /** Starts the poll, as the page of this tab. */
  start(): void {
    vi.stubGlobal("document", { hidden: !this.isVisible });
    this.poll.start();
  }

  /** Makes the tab visible. */
  show(): void {
    this.isVisible = true;
    this.start();
  }

  get leads(): boolean {
    return this.poll.client !== undefined;
  }
}

/** Returns a replacement of the global `BroadcastChannel`, which delivers to the other tabs in a later microtask. */
export function channelsOf(world: World) {
  return class extends FakeChannel {
    constructor(_name: string) {
      super(world);
    }
  };
}

class FakeChannel {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  /** Whether messages to this tab are lost, as to a suspended tab. */
  deaf = false;
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
    world.channels.add(this);
  }

  postMessage(data: unknown): void {
    for (const other of this.#world.channels) {
      if (other !== this && !other.deaf) queueMicrotask(() => other.onmessage?.({ data }));
    }
  }

  close(): void {
    this.#world.channels.delete(this);
    this.onmessage = null;
  }
}

interface Request {
  readonly run: () => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: unknown) => void;
}

/** The part of Web Locks that the client uses: one lock, a queue, leaving it, and stealing. */
class FakeLocks implements LockManager {
  #holder: Request | undefined;
  #queue: Request[] = [];

  async query(): Promise<LockManagerSnapshot> {
    return {};
  }

  request(_name: string, ...rest: unknown[]): Promise<never> {
    const [options, run] = rest as [LockOptions, () => Promise<unknown>];
    const done = new Promise<unknown>((resolve, reject) => {
      const request = { run, resolve, reject };
      const gone = () => new DOMException("gone", "AbortError");
      options.signal?.addEventListener("abort", () => {
        if (!this.#queue.includes(request)) return;
        this.#queue = this.#queue.filter((other) => other !== request);
        reject(gone());
      });
      if (options.steal) {
        this.#holder?.reject(gone());
        this.#holder = undefined;
        this.#queue.unshift(request);
      } else this.#queue.push(request);
    });
    queueMicrotask(() => this.#grant());
    return done as Promise<never>;
  }

  #grant(): void {
    if (this.#holder) return;
    const next = this.#queue.shift();
    if (!next) return;
    this.#holder = next;
    next
      .run()
      .then(next.resolve, next.reject)
      .finally(() => {
        if (this.#holder !== next) return;
        this.#holder = undefined;
        this.#grant();
      });
  }
}
