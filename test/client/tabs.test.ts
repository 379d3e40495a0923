/** One poll for all tabs: fake locks, a fake channel and a fake server, so that any order of events can be tested. */
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Batch, Message } from "../../src/client/index.js";
import { SharedPoll } from "../../src/client/tabs.js";
import { fakeTime, pass, second } from "./fake.js";
import { message, refused, reply } from "./replies.js";

let world: World;

fakeTime();
beforeEach(begin);
afterEach(stopAll);

function begin(): void {
  world = new World();
  vi.stubGlobal("BroadcastChannel", FakeChannel);
  vi.stubGlobal("navigator", { locks: new FakeLocks() });
}

/** Stops all tabs, which leaves no leader, no poll, no channel and no timer. */
async function stopAll(): Promise<void> {
  for (const tab of world.tabs) tab.poll.stop();
  await settle();
  const leaders = world.tabs.filter(({ leads }) => leads);
  expect([leaders, world.waiters.size, world.channels.size, vi.getTimerCount()]).toEqual([[], 0, 0, 0]);
}

/** Lets everything happen that happens without another message. */
const settle = () => pass(second);
/** Opens a tab whose page shows everything up to now. */
async function open(isVisible = false): Promise<Tab> {
  const tab = new Tab(world.messages.length, isVisible);
  await settle();
  return tab;
}
const say = (text: string) => {
  world.say(text);
  return settle();
};

/** The room: its messages, its held polls, and its tabs. */
class World {
  readonly messages: Message[] = [];
  /** The `since` and the `wait` of each poll. */
  readonly asked: string[] = [];
  /** The reply to all polls, once it is set. */
  refusal: (() => Response) | undefined;
  /** Each answers a held poll. */
  readonly waiters = new Set<() => void>();
  readonly tabs: Tab[] = [];
  readonly channels = new Set<FakeChannel>();

  say(text: string): void {
    this.messages.push(message(`${this.messages.length + 1}-0`, text));
    for (const wake of this.waiters) wake();
    this.waiters.clear();
  }

  readonly fetch: typeof globalThis.fetch = async (url, init) => {
    const query = new URL(String(url)).searchParams;
    const since = query.get("since") ?? "";
    this.asked.push(`${since} ${query.get("wait")}`);
    if (this.refusal) return this.refusal();
    const seen = Number.parseInt(since, 10);
    if (query.get("wait") !== "0" && this.messages.length === seen) {
      await new Promise<void>((resolve, reject) => {
        this.waiters.add(resolve);
        init?.signal?.addEventListener("abort", () => {
          this.waiters.delete(resolve);
          reject(init.signal?.reason);
        });
      });
    }
    return reply(`${this.messages.length}-0`, this.messages.slice(seen));
  };
}

class Tab {
  /** What the page has shown: texts, and gaps. */
  readonly shown: string[] = [];
  readonly states: string[] = [];
  readonly poll: SharedPoll;
  /** This tab's end of the channel. */
  readonly channel: FakeChannel | undefined;

  /** @param seen the number of messages that the page shows from the start */
  constructor(
    readonly seen: number,
    public isVisible = false,
  ) {
    this.poll = new SharedPoll({
      base: "http://chat.test/",
      user: "ann",
      name: "the room",
      fetch: world.fetch,
      since: `${seen}-0`,
      onBatch: ({ messages, gap }) =>
        this.shown.push(...(gap ? ["gap"] : []), ...messages.map(({ text }) => text)),
      onState: (state) => this.states.push(state.name === "stopped" ? state.reason : state.name),
    });
    this.start();
    this.channel = [...world.channels].pop();
    world.tabs.push(this);
  }

  /** Starts the poll, as the page of this tab. */
  start(): void {
    vi.stubGlobal("document", { hidden: !this.isVisible });
    this.poll.start();
  }

  /** Makes the tab visible. */
  show(): Promise<unknown> {
    this.isVisible = true;
    this.start();
    return settle();
  }

  /** Receives a batch from the leader. */
  receive(from: string, batch: Partial<Batch>): Promise<unknown> {
    this.channel?.onmessage?.({ data: { from, batch: { present: 1, messages: [], ...batch } } });
    return settle();
  }

  /** Loses messages to this tab, as a suspended tab does, or no longer. */
  suspend(isDeaf: boolean): void {
    if (this.channel) this.channel.isDeaf = isDeaf;
  }

  get leads(): boolean {
    return this.poll.client !== undefined;
  }
}

/** A channel that delivers to the other tabs in a later microtask. */
class FakeChannel {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  isDeaf = false;
  readonly #all = world.channels.add(this);

  postMessage(data: unknown): void {
    for (const other of this.#all)
      if (other !== this && !other.isDeaf) queueMicrotask(() => other.onmessage?.({ data }));
  }

  close(): void {
    this.#all.delete(this);
    this.onmessage = null;
  }
}

interface LockRequest {
  /** Takes the lock. Undefined once the request has it. */
  hold?: () => unknown;
  /** Leaves the queue, or loses the lock. */
  readonly fail: () => void;
}

/** The part of Web Locks that the client uses: one lock, a queue, leaving it, and stealing. */
class FakeLocks {
  /** In order. The first one has the lock, or gets it next. */
  #queue: LockRequest[] = [];

  request(_name: string, { signal, steal }: LockOptions, run: () => Promise<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const remove = () => {
        this.#queue = this.#queue.filter((other) => other !== request);
        this.#grant();
      };
      const request: LockRequest = {
        hold: () => run().then(resolve, reject).finally(remove),
        fail() {
          remove();
          reject(new DOMException("gone", "AbortError"));
        },
      };
      signal?.addEventListener("abort", () => request.hold && request.fail());
      const [holder] = this.#queue;
      if (steal && !holder?.hold) holder?.fail();
      if (steal) this.#queue.unshift(request);
      else this.#queue.push(request);
      this.#grant();
    });
  }

  #grant(): void {
    queueMicrotask(() => {
      const [first] = this.#queue;
      const hold = first?.hold;
      delete first?.hold;
      hold?.();
    });
  }
}

test("a tab that has missed a message asks the server for it once", async () => {
  const [, missing] = [await open(), await open()];
  missing.suspend(true);
  await say("missed");
  expect(missing.shown).toEqual([]);
  missing.suspend(false);
  world.asked.length = 0;
  await say("heard");
  expect(missing.shown).toEqual(["missed", "heard"]);
  // The leader's next poll, and the one request.
  expect(world.asked.sort()).toEqual(["0-0 0", "2-0 25"]);
  expect(world.waiters.size).toBe(1);
  await missing.receive("0-0", { cursor: "1-0", messages: [message("1-0")] });
  expect([world.asked.length, missing.shown.length]).toEqual([2, 2]);
});

test.each<[string, (() => Response) | undefined, string[]]>([
  ["keeps its history if the server does", undefined, ["a", "b", "c", "d"]],
  [
    "asks the server, which has another history too",
    () => reply("1-0", [message("1-0")], { gap: true }),
    ["a", "b", "c", "gap", "text of 1-0"],
  ],
])("a tab that the leader tells of a gap after another cursor %s", async (_, refusal, expected) => {
  const [, tab] = [await open(), await open()];
  for (const text of ["a", "b", "c"]) await say(text);
  world.refusal = refusal;
  await tab.receive("4-0", { cursor: "1-0", gap: true });
  if (!refusal) await say("d");
  expect(tab.shown).toEqual(expected);
});

test("every tab receives the state of the poll, and a final error stops all", async () => {
  const tabs = [new Tab(0), new Tab(0), new Tab(0)];
  await settle();
  const states = () => tabs.map((tab) => tab.states.at(-1));
  expect(states()).toEqual(["live", "live", "live"]);
  world.refusal = () => refused(503, "draining", { "retry-after": "3" });
  await say("b");
  expect(states()).toEqual(["waiting", "waiting", "waiting"]);
  world.refusal = () => refused(401, "no_session");
  await pass(60 * second);
  expect(states()).toEqual(["no_session", "no_session", "no_session"]);
  const asked = world.asked.length;
  await pass(60 * second);
  expect(world.asked.length).toBe(asked);
});

test("a tab that becomes visible leads from its own cursor until it closes, and does not poll anew when it is shown again", async () => {
  const [first, shown] = [await open(), await open()];
  shown.suspend(true);
  await say("a");
  await shown.show();
  expect([first.leads, shown.leads, shown.shown]).toEqual([false, true, ["a"]]);
  await say("b");
  expect([first.shown, shown.shown]).toEqual([
    ["a", "b"],
    ["a", "b"],
  ]);
  expect(world.waiters.size).toBe(1);
  const asked = world.asked.length;
  await shown.show();
  expect(world.asked.length).toBe(asked);
  shown.poll.stop();
  await settle();
  expect(first.leads).toBe(true);
  expect((await open(true)).leads).toBe(true);
});

test("a tab that becomes visible polls once after a 401, and continues when another tab has logged in", async () => {
  const tab = await open();
  world.refusal = () => refused(401, "no_session");
  await say("a");
  const asked = world.asked.length;
  await tab.show();
  await pass(60 * second);
  expect([world.asked.length, tab.states.at(-1)]).toEqual([asked + 1, "no_session"]);
  world.refusal = undefined;
  world.say("b");
  await tab.show();
  expect([tab.shown, tab.states.at(-1)]).toEqual([["a", "b"], "live"]);
});

test("in a browser without locks, each tab polls for itself", async () => {
  vi.stubGlobal("navigator", {});
  const tabs = [await open(), await open()];
  await say("a");
  expect(tabs.map(({ shown }) => shown)).toEqual([["a"], ["a"]]);
  expect(world.waiters.size).toBe(2);
});

test("a stop leaves no poll, no timer and no channel, also while a tab asks for what it missed", async () => {
  const [, missing] = [await open(), await open()];
  world.refusal = () => refused(503, "draining");
  await missing.receive("8-0", { cursor: "9-0" });
  await stopAll();
});

/** One event, and the tab that it concerns. */
const step = fc.record({
  event: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom("say", "settle") },
    { weight: 1, arbitrary: fc.constant("open") },
    { weight: 2, arbitrary: fc.constantFrom("close", "show", "hide", "suspend", "restart") },
  ),
  which: fc.nat(),
});

test("after any events, every open tab has received every message once and in order", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      begin();
      const open = new Set([new Tab(0)]);
      for (const { event, which } of steps) {
        const [tab] = [...open].slice(which % open.size);
        if (event === "say") world.say(`${world.messages.length}`);
        else if (event === "settle") await settle();
        else if (event === "open") open.add(new Tab(Math.max(0, world.messages.length - (which % 3))));
        else if (event === "show") void tab?.show();
        else if (event === "hide" && tab) tab.isVisible = false;
        else if (event === "suspend") tab?.suspend(which % 2 === 0);
        else if (event === "restart" || open.size > 1) {
          tab?.poll.stop();
          if (event === "restart") tab?.start();
          else if (tab) open.delete(tab);
        }
      }
      for (const tab of open) tab.suspend(false);
      // When all tabs receive again, one more message brings each tab up to date.
      await settle();
      await say("the last word");
      const all = world.messages.map(({ text }) => text);
      for (const { shown, seen } of open) expect(shown).toEqual(all.slice(seen));
      expect([...open].filter(({ leads }) => leads).length).toBe(1);
      expect(world.waiters.size).toBe(1);
      await stopAll();
    }),
    { numRuns: 200 },
  );
});
