/**
 * A feed is compared with a small model, for random sequences of pushes, polls, disconnects, time-outs, newer polls, lost
 * replies and store failures. A reader gets every event once and in order, and a gap if and only if there is one.
 */
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { type Batch, type Cursor, Feed, type Id } from "../../src/feed/index.js";
import { clock, Poll, stopClock } from "./poll.js";

stopClock();

const CASES = 600;
const WAIT = 1000;
/** Two of the readers have no client id. The last one starts with everything that is kept. */
const CLIENTS = ["a", "b", undefined, undefined];
/** What can happen, and how often in 20 steps. */
const ACTIONS = { push: 5, poll: 6, disconnect: 2, cancel: 1, "lose reply": 2, pass: 4, "lose events": 0 };

const actions = Object.entries(ACTIONS).map(([name, weight]) => ({ arbitrary: fc.constant(name), weight }));
const step = fc.record({
  action: fc.oneof(...actions),
  who: fc.nat(CLIENTS.length - 1),
  wait: fc.constantFrom(0, Number.NaN, 5, WAIT),
  ms: fc.constantFrom(0, 0, 1, 3, 20, WAIT),
  count: fc.nat(3),
});
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;
const steps = fc.array(step, { maxLength: 60 });

class Reader {
  /** All events that it got, in order. */
  readonly read: Id[] = [];
  readonly polls: Poll<Id>[] = [];
  gaps = 0;
  held: Poll<Id> | undefined;
  /** Polls that are neither answered nor aborted. */
  open = 0;
  /** The next reply is lost on its way. */
  losesReply = false;

  constructor(
    readonly client: string | undefined,
    public cursor: Cursor,
  ) {}
}

class World {
  readonly feed: Feed<Id>;
  readonly readers: Reader[];
  /** The model: all ids from the start on, and the place of the newest pruned event among them. */
  readonly ids: Id[];
  #pruned = 0;
  #pushed = 0;

  constructor(readonly limit: number) {
    clock.work = 0;
    this.feed = new Feed({ backlog: limit });
    const { lastId } = this.feed;
    this.ids = [lastId];
    this.readers = CLIENTS.map((client, n) => new Reader(client, n < 3 ? lastId : "0"));
  }

  /** All events. */
  get all(): Id[] {
    return this.ids.slice(1);
  }

  get kept(): Id[] {
    return this.ids.slice(this.#pruned + 1);
  }

  push(): void {
    // The event is its own id, so that the order can be checked. A store uses no id twice, also after a loss.
    const id: Id = `${Date.now()}-${++this.#pushed}`;
    this.feed.push(id, id);
    this.ids.push(id);
    this.#pruned = Math.max(this.#pruned, this.ids.length - 1 - this.limit);
  }

  /** The store lost its newest events: the history ends earlier, and continues with other ids. */
  loseEvents(count: number): void {
    this.ids.length = Math.max(this.#pruned + 1, this.ids.length - count);
    const events = this.kept.map((id) => ({ id, event: id }));
    this.feed.reset({ lastPrunedId: this.ids[this.#pruned] ?? "0-0", events });
  }

  poll(reader: Reader, wait: number): void {
    // A browser has one poll at a time. Without a client id, the older one is not superseded.
    if (reader.client === undefined && reader.held) return;
    const asked = reader.cursor;
    const waiter = new Poll<Id>(asked, wait, reader.client);
    waiter.onAnswer = (batch) => this.answered(reader, waiter, asked, batch);
    reader.polls.push(waiter);
    reader.open++;
    const result = this.feed.poll(waiter);
    expect(result).toMatch(wait > 0 ? /^(answered|held)$/ : /^answered$/);
    if (result === "held") reader.held = waiter;
  }

  answered(reader: Reader, waiter: Poll<Id>, asked: Cursor, batch: Batch<Id>): void {
    clock.work += 3;
    reader.open--;
    expect(JSON.parse(String(waiter.bodies[0]))).toEqual(batch);
    if (batch.superseded || batch.retry !== undefined) {
      expect([batch.cursor, batch.events]).toEqual([asked, []]);
      return;
    }
    // A reader gets the events after its cursor, or a gap and everything that is kept.
    const seen = asked === "0" ? this.#pruned : this.ids.indexOf(asked);
    const gap = seen < this.#pruned;
    const events = gap ? this.kept : this.ids.slice(seen + 1);
    expect([batch.events, batch.gap ?? false, batch.cursor]).toEqual([events, gap, this.ids.at(-1)]);
    reader.held = undefined;
    const isLost = reader.losesReply;
    reader.losesReply = false;
    if (isLost) return;
    // What was pruned by then is of no interest to a reader that starts with everything that is kept.
    if (asked === "0") reader.read.push(...this.ids.slice(1, this.#pruned + 1));
    reader.read.push(...batch.events);
    reader.gaps += gap ? 1 : 0;
    reader.cursor = batch.cursor;
  }

  async run({ action, who, wait, ms, count }: Step): Promise<void> {
    const reader = this.readers[who];
    if (!reader) throw new Error("there is no such reader");
    // One that is finished already is not finished again.
    const any = reader.polls.at(-1 - count);
    if (action === "push") this.push();
    else if (action === "poll") this.poll(reader, wait);
    else if (action === "cancel" && any) this.feed.cancel(any);
    else if (action === "disconnect" && any) {
      this.feed.cancel(any, "disconnected");
      if (any === reader.held) {
        reader.held = undefined;
        reader.open--;
      }
    } else if (action === "lose reply") reader.losesReply = true;
    else if (action === "pass") await vi.advanceTimersByTimeAsync(ms);
    else if (action === "lose events") this.loseEvents(count);
    expect(this.readers.every(({ open }) => open <= 1)).toBe(true);
    expect(this.feed.waiting).toBe(this.readers.filter(({ held }) => held).length);
  }

  /** Pushes the last event, and lets all readers poll until no waiter has news. */
  async settle(): Promise<void> {
    this.push();
    for (const reader of this.readers) reader.losesReply = false;
    // Enough for flushes and cooldowns, and less than a wait.
    for (let turn = 0; turn < 3; turn++) {
      for (const reader of this.readers) if (!reader.held) this.poll(reader, WAIT);
      await vi.advanceTimersByTimeAsync(WAIT / 4);
    }
    for (const { cursor } of this.readers) expect(cursor).toBe(this.ids.at(-1));
  }

  /** Drains. Afterwards every poll was answered or aborted, once. */
  async close(): Promise<void> {
    this.feed.close();
    expect(this.readers.map(({ open }) => open)).toEqual(CLIENTS.map(() => 0));
    const polls = this.readers.flatMap((reader) => reader.polls);
    expect(polls.every(({ batches, reasons }) => reasons.length === 1 && batches.length <= 1)).toBe(true);
    await vi.advanceTimersByTimeAsync(WAIT);
    expect([this.feed.waiting, vi.getTimerCount()]).toEqual([0, 0]);
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
  await holds(fc.constant(1000), steps, ({ all, readers }) => {
    for (const { read, gaps } of readers) expect([read, gaps]).toEqual([all, 0]);
  });
});

test("a reader of a small backlog gets a gap if and only if it has missed events", async () => {
  await holds(fc.integer({ min: 1, max: 4 }), steps, ({ all, readers }) => {
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
  await holds(fc.constantFrom(2, 1000), withLoss, ({ kept, readers }) => {
    // A reader with a gap gets the events that are not pruned; the others have read them.
    for (const { read } of readers) expect(kept.every((id) => read.includes(id))).toBe(true);
  });
});
