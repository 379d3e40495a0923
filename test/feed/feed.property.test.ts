/**
 * A feed is compared with a small model, for random sequences of pushes, polls, disconnects, time-outs, newer polls, lost
 * replies and store failures. A reader gets every event once and in order, and a gap if and only if there is one.
 */
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Batch, type Cursor, Feed, type Id } from "../../src/feed/index.js";
import { Model } from "./model.js";
import { Poll } from "./poll.js";

const CASES = 600;
/** Two of the readers have no client id. */
const CLIENTS = ["a", "b", undefined, undefined];
const WAIT = 1000;

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

const reader = fc.nat(CLIENTS.length - 1);
const steps = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ do: fc.constant("push" as const) }) },
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant("poll" as const),
        who: reader,
        wait: fc.constantFrom(0, 5, WAIT),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("disconnect" as const), who: reader }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("cancel" as const), who: reader }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("lose reply" as const), who: reader }) },
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant("pass" as const), ms: fc.constantFrom(0, 0, 1, 3, 20, WAIT) }),
    },
  ),
  { maxLength: 60 },
);
type Step = typeof steps extends fc.Arbitrary<(infer S)[]> ? S | { do: "lose events"; count: number } : never;

class World {
  readonly feed: Feed<Id>;
  readonly model: Model;
  readonly readers: Reader[];
  #pushed = 0;

  constructor(limit: number) {
    work = 0;
    this.feed = new Feed({ backlog: limit });
    this.model = new Model(limit, this.feed.lastId);
    const cursor = this.feed.lastId;
    this.readers = CLIENTS.map((client) => ({
      client,
      cursor,
      read: [],
      gaps: 0,
      held: undefined,
      open: 0,
      losesReply: false,
    }));
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
    const result = this.feed.poll(waiter);
    if (result === "full") throw new Error("the feed is not that small");
    if (result === "held") reader.held = waiter;
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
    if (reader.losesReply) {
      reader.losesReply = false;
      return;
    }
    reader.read.push(...batch.events);
    reader.gaps += gap ? 1 : 0;
    reader.cursor = batch.cursor;
  }

  async run(step: Step): Promise<void> {
    const reader = this.readers["who" in step ? step.who : 0];
    if (!reader) throw new Error("there is no such reader");
    if (step.do === "push") this.push();
    else if (step.do === "poll") this.poll(reader, step.wait);
    else if (step.do === "cancel" && reader.held) this.feed.cancel(reader.held);
    else if (step.do === "disconnect" && reader.held) {
      this.feed.cancel(reader.held, "disconnected");
      reader.held = undefined;
      reader.open--;
    } else if (step.do === "lose reply") reader.losesReply = true;
    else if (step.do === "lose events") {
      this.model.lose(step.count);
      const events = this.model.kept.map((id) => ({ id, event: id }));
      this.feed.reset({ lastPrunedId: this.model.lastPrunedId, events });
    } else if (step.do === "pass") await vi.advanceTimersByTimeAsync(step.ms);
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

async function play(limit: number, steps: readonly Step[], check: (world: World) => void): Promise<void> {
  vi.clearAllTimers();
  const world = new World(limit);
  for (const step of steps) await world.run(step);
  await world.settle();
  check(world);
  await world.close();
}

test("every reader gets every event once and in order", async () => {
  await fc.assert(
    fc.asyncProperty(steps, (steps) =>
      play(1000, steps, ({ model, readers }) => {
        for (const { read, gaps } of readers) expect([read, gaps]).toEqual([model.ids.slice(1), 0]);
      }),
    ),
    { numRuns: CASES },
  );
});

test("a reader of a small backlog gets a gap if and only if it has missed events", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), steps, (limit, steps) =>
      play(limit, steps, ({ model, readers }) => {
        const all = model.ids.slice(1);
        for (const { read, gaps } of readers) {
          expect(read).toEqual(all.filter((id) => read.includes(id)));
          expect(gaps > 0).toBe(read.length < all.length);
        }
      }),
    ),
    { numRuns: CASES },
  );
});

test("every reader gets everything that is kept after the store has lost its newest events", async () => {
  const loss = fc.record({ do: fc.constant("lose events" as const), count: fc.integer({ min: 0, max: 3 }) });
  const withLoss = fc
    .tuple(steps, loss, steps, loss, steps)
    .map(([a, b, c, d, e]) => [...a, b, ...c, d, ...e]);
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(2, 1000), withLoss, (limit, steps) =>
      play(limit, steps, ({ model, readers }) => {
        // A reader with a gap gets the events that are not pruned; the others have read them.
        for (const { read } of readers) expect(model.kept.every((id) => read.includes(id))).toBe(true);
      }),
    ),
    { numRuns: CASES },
  );
});
