/**
 * A feed is compared with a small model, for random sequences of pushes, polls, disconnects, time-outs, newer polls, lost
 * replies and store failures. A reader gets every event once and in order, and a gap if and only if there is one.
 */
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Batch, type Cursor, Feed, type Id } from "../../src/feed/index.js";
import { Poll } from "./poll.js";

const CASES = 600;
/** Two of the readers have no client id. */
const CLIENTS = ["a", "b", undefined, undefined];
const WAIT = 1000;
/** What can happen, and how often in 20 steps. */
const ACTIONS = { push: 5, poll: 6, disconnect: 2, cancel: 1, "lose reply": 2, pass: 4, "lose events": 0 };
type Action = keyof typeof ACTIONS;

const step = fc.record({
  action: fc.oneof(
    ...Object.entries(ACTIONS).map(([name, weight]) => ({
      arbitrary: fc.constant(name as Action),
      weight,
    })),
  ),
  who: fc.nat(CLIENTS.length - 1),
  wait: fc.constantFrom(0, 5, WAIT),
  ms: fc.constantFrom(0, 0, 1, 3, 20, WAIT),
  count: fc.nat(3),
});
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;
const steps = fc.array(step, { maxLength: 60 });

interface Reader {
  readonly client: string | undefined;
  cursor: Cursor;
  /** All events that it got, in order. */
  readonly read: Id[];
  gaps: number;
  held: Poll<Id> | undefined;
  /** Polls that are neither answered nor aborted. */
  open: number;
  /** The next reply is lost on its way. */
  losesReply: boolean;
}

/** Work that answers have done, in milliseconds. */
let work = 0;

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2030, 0, 1) });
  vi.spyOn(performance, "now").mockImplementation(() => Date.now() + work);
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** The model: all ids from the start on. The newest `limit` of the events are kept. */
class Model {
  readonly ids: Id[];
  /** The place of the newest pruned event in `ids`. */
  pruned = 0;

  constructor(
    readonly limit: number,
    start: Id,
  ) {
    this.ids = [start];
  }

  push(id: Id): void {
    this.ids.push(id);
    this.pruned = Math.max(this.pruned, this.ids.length - 1 - this.limit);
  }

  /** The store lost its newest events: the history ends earlier, and continues with other ids. */
  lose(count: number): void {
    this.ids.length = Math.max(this.pruned + 1, this.ids.length - count);
  }

  get kept(): Id[] {
    return this.ids.slice(this.pruned + 1);
  }

  /** Returns what a reader gets: the events after its cursor, or a gap and everything that is kept. */
  after(cursor: Cursor): { events: Id[]; gap: boolean } {
    const seen = cursor === "0" ? this.pruned : this.ids.indexOf(cursor);
    const gap = seen < this.pruned;
    return { events: gap ? this.kept : this.ids.slice(seen + 1), gap };
  }
}

class World {
  readonly feed: Feed<Id>;
  readonly model: Model;
  readonly readers: Reader[];
  #pushed = 0;

  constructor(limit: number) {
    work = 0;
    this.feed = new Feed({ backlog: limit });
    const cursor = this.feed.lastId;
    this.model = new Model(limit, cursor);
    const none = { held: undefined, gaps: 0, open: 0, losesReply: false };
    this.readers = CLIENTS.map((client) => ({ client, cursor, read: [], ...none }));
  }

  push(): void {
    // The event is its own id, so that the order can be checked. A store uses no id twice, also after a loss.
    const id: Id = `${Date.now()}-${++this.#pushed}`;
    this.feed.push(id, id);
    this.model.push(id);
  }

  poll(reader: Reader, wait: number): void {
    // A browser has one poll at a time. Without a client id, the older one is not superseded.
    if (reader.client === undefined && reader.held) return;
    const asked = reader.cursor;
    const waiter = new Poll<Id>(asked, wait, reader.client);
    waiter.onAnswer = (batch) => this.answered(reader, waiter, asked, batch);
    reader.open++;
    if (this.feed.poll(waiter) === "held") reader.held = waiter;
  }

  answered(reader: Reader, waiter: Poll<Id>, asked: Cursor, batch: Batch<Id>): void {
    work += 3;
    reader.open--;
    expect([waiter.batches.length, waiter.reasons.length]).toEqual([1, 1]);
    expect(JSON.parse(String(waiter.bodies[0]))).toEqual(batch);
    if (batch.superseded || batch.retry !== undefined) {
      expect([batch.cursor, batch.events]).toEqual([asked, []]);
      return;
    }
    const { events, gap } = this.model.after(asked);
    expect([batch.events, batch.gap ?? false, batch.cursor]).toEqual([events, gap, this.model.ids.at(-1)]);
    reader.held = undefined;
    const isLost = reader.losesReply;
    reader.losesReply = false;
    if (isLost) return;
    reader.read.push(...batch.events);
    reader.gaps += gap ? 1 : 0;
    reader.cursor = batch.cursor;
  }

  async run({ action, who, wait, ms, count }: Step): Promise<void> {
    const reader = this.readers[who];
    if (!reader) throw new Error("there is no such reader");
    const { held } = reader;
    if (action === "push") this.push();
    else if (action === "poll") this.poll(reader, wait);
    else if (action === "cancel" && held) this.feed.cancel(held);
    else if (action === "disconnect" && held) {
      this.feed.cancel(held, "disconnected");
      reader.held = undefined;
      reader.open--;
    } else if (action === "lose reply") reader.losesReply = true;
    else if (action === "pass") await vi.advanceTimersByTimeAsync(ms);
    else if (action === "lose events") {
      this.model.lose(count);
      const events = this.model.kept.map((id) => ({ id, event: id }));
      this.feed.reset({ lastPrunedId: this.model.ids[this.model.pruned] ?? "0-0", events });
    }
    expect(this.readers.every(({ open }) => open <= 1)).toBe(true);
    expect(this.feed.waiting).toBe(this.readers.filter(({ held }) => held).length);
  }

  /** Lets all readers poll until no waiter has news. */
  async settle(): Promise<void> {
    for (const reader of this.readers) reader.losesReply = false;
    // Enough for flushes and cooldowns, and less than a wait.
    for (let turn = 0; turn < 3; turn++) {
      for (const reader of this.readers) if (!reader.held) this.poll(reader, WAIT);
      await vi.advanceTimersByTimeAsync(WAIT / 4);
    }
    for (const { cursor } of this.readers) expect(cursor).toBe(this.model.ids.at(-1));
  }

  /** Drains. Afterwards every poll was answered or aborted. */
  async close(): Promise<void> {
    this.feed.close();
    expect(this.readers.map(({ open }) => open)).toEqual(CLIENTS.map(() => 0));
    expect(this.feed.waiting).toBe(0);
    await vi.advanceTimersByTimeAsync(WAIT);
    expect(vi.getTimerCount()).toBe(0);
  }
}

/** Checks a property of the world after random steps. */
function holds(limits: fc.Arbitrary<number>, all: fc.Arbitrary<Step[]>, check: (world: World) => void) {
  const property = fc.asyncProperty(limits, all, async (limit, steps) => {
    vi.clearAllTimers();
    const world = new World(limit);
    for (const step of steps) await world.run(step);
    await world.settle();
    check(world);
    await world.close();
  });
  return fc.assert(property, { numRuns: CASES });
}

test("every reader gets every event once and in order", async () => {
  await holds(fc.constant(1000), steps, ({ model, readers }) => {
    for (const { read, gaps } of readers) expect([read, gaps]).toEqual([model.ids.slice(1), 0]);
  });
});

test("a reader of a small backlog gets a gap if and only if it has missed events", async () => {
  await holds(fc.integer({ min: 1, max: 4 }), steps, ({ model, readers }) => {
    const all = model.ids.slice(1);
    for (const { read, gaps } of readers) {
      expect(read).toEqual(all.filter((id) => read.includes(id)));
      expect(gaps > 0).toBe(read.length < all.length);
    }
  });
});

test("every reader gets everything that is kept after the store has lost its newest events", async () => {
  const loss = step.map((one): Step => ({ ...one, action: "lose events" }));
  const withLoss = fc
    .tuple(steps, loss, steps, loss, steps)
    .map(([a, b, c, d, e]) => [...a, b, ...c, d, ...e]);
  await holds(fc.constantFrom(2, 1000), withLoss, ({ model, readers }) => {
    // A reader with a gap gets the events that are not pruned; the others have read them.
    for (const { read } of readers) expect(model.kept.every((id) => read.includes(id))).toBe(true);
  });
});
