/**
 * The room alone, against a model of ten lines: whatever order posts, polls, aborts, time-outs and newer polls come
 * in, a reader that polls again with its cursor gets every message once and in order, and a gap is told if, and only
 * if, there is one. Answers that are lost on the way are part of it: the reader then asks with its old cursor.
 */
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Answer, Batch } from "../../src/room/answers.js";
import type { Cursor } from "../../src/room/backlog.js";
import { Room } from "../../src/room/room.js";
import { Waiter } from "../../src/room/waiters.js";
import type { Id } from "../../src/store/id.js";
import type { Message } from "../../src/store/store.js";
import { sessionOf } from "./asking.js";
import { Model, SlowStore } from "./model.js";

const CASES = 600;
const READERS = ["ann", "bob", "bob", "cyd"];
const WAIT = 1000;

/** A poll that is answered to a function. */
class Poll extends Waiter {
  readonly #answered: (batch: Batch) => void;
  constructor(reader: Reader, wait: number, answered: (batch: Batch) => void) {
    super(reader.user, reader.cursor, wait, reader.client);
    this.#answered = answered;
  }
  answer({ batch }: Answer): void {
    this.#answered(batch);
  }
}

interface Reader {
  readonly user: string;
  readonly client: string;
  cursor: Cursor;
  readonly read: Id[];
  gaps: number;
  held: Waiter | undefined;
  /** Polls that were asked and neither answered nor aborted. */
  open: number;
  /** The next answer is lost on the way. */
  loses: boolean;
}

let work = 0;
beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2030, 0, 1) });
  vi.spyOn(performance, "now").mockImplementation(() => Date.now() + work);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const reader = fc.nat(READERS.length - 1);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("post"), delay: fc.nat(3) }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("poll"), who: reader, wait: fc.constantFrom(0, 5, WAIT) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("abort"), who: reader }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("lose"), who: reader }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("pass"), ms: fc.constantFrom(0, 0, 1, 3, 20, WAIT) }) },
);
type Step = { do: string; delay?: number; who?: number; wait?: number; ms?: number };

/** Sets up a room and its model, and gives what can be done to both. */
async function world(limit: number) {
  work = 0;
  const model = new Model(limit);
  const store = new SlowStore(model);
  const room = await Room.open({
    store,
    backlog: limit,
    maxWaiters: 100,
    maxWaitersPerUser: 100,
    maxNames: 100,
    grace: 1e9,
  });
  for (const user of READERS) room.view(sessionOf(user));
  const { cursor } = room.newest(0);
  const readers = READERS.map(
    (user, n): Reader => ({
      user,
      client: `page-${n}`,
      cursor,
      read: [],
      gaps: 0,
      held: undefined,
      open: 0,
      loses: false,
    }),
  );
  const posts: Promise<Message>[] = [];

  function answered(reader: Reader, asked: Cursor, batch: Batch): void {
    work += 3;
    reader.open--;
    expect(reader.open).toBeGreaterThanOrEqual(0);
    const ids = batch.messages.map(({ id }) => id);
    if (batch.superseded || batch.retry !== undefined) {
      expect([batch.cursor, ids]).toEqual([asked, []]);
      return;
    }
    const { news, gap } = model.after(asked);
    expect([ids, batch.gap ?? false]).toEqual([news, gap]);
    expect(batch.cursor).toBe(model.ids.at(-1));
    reader.held = undefined;
    if (reader.loses) {
      reader.loses = false;
      return;
    }
    reader.read.push(...ids);
    reader.gaps += gap ? 1 : 0;
    reader.cursor = batch.cursor;
  }

  function poll(reader: Reader, wait: number): void {
    const asked = reader.cursor;
    const waiter = new Poll(reader, wait, (batch) => answered(reader, asked, batch));
    reader.open++;
    const outcome = room.poll(waiter);
    if (outcome === "full") throw new Error("the room is not that small");
    if (outcome === "held") reader.held = waiter;
  }

  function abort(reader: Reader): void {
    if (!reader.held) return;
    room.gone(reader.held);
    reader.held = undefined;
    reader.open--;
  }

  function run(step: Step): void {
    const reader = readers[step.who ?? 0];
    if (!reader) throw new Error("no such reader");
    if (step.do === "post") {
      store.delay = step.delay ?? 0;
      posts.push(room.post("dan", "hello"));
    } else if (step.do === "poll") poll(reader, step.wait ?? 0);
    else if (step.do === "abort") abort(reader);
    else if (step.do === "lose") reader.loses = true;
    else vi.advanceTimersByTime(step.ms ?? 0);
    // One page has one poll at most, and nothing is held that nobody waits for.
    expect(readers.map(({ open }) => open).every((open) => open <= 1)).toBe(true);
    expect(room.waiting).toBe(readers.filter(({ held }) => held).length);
  }

  return { model, room, readers, posts, poll, run, first: cursor };
}

type World = Awaited<ReturnType<typeof world>>;

/** Lets everybody poll on until there is nothing left to tell; then nobody who waits may be behind. */
function settle({ model, readers, poll }: World): void {
  for (const reader of readers) reader.loses = false;
  // Enough for posts under way, rounds and rests, and less than a wait.
  for (let turn = 0; turn < 3; turn++) {
    for (const reader of readers) if (!reader.held) poll(reader, WAIT);
    vi.advanceTimersByTime(WAIT / 4);
  }
  for (const { cursor } of readers) expect(cursor).toBe(model.ids.at(-1));
}

async function play(steps: readonly Step[], limit: number, check: (world: World) => void): Promise<void> {
  vi.clearAllTimers();
  const played = await world(limit);
  for (const one of steps) played.run(one);
  settle(played);
  await Promise.all(played.posts);
  check(played);
  // Whoever is still held is told that the process stops, once.
  await played.room.close();
  expect(played.readers.map(({ open }) => open)).toEqual(READERS.map(() => 0));
  expect([played.room.waiting, vi.getTimerCount()]).toEqual([0, 0]);
}

test("every reader gets every message once, in order, whatever happens in between", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), (steps) =>
      play(steps, 1000, ({ model, readers, first }) => {
        const all = model.ids.slice(model.ids.indexOf(first) + 1);
        for (const { read, gaps } of readers) expect([read, gaps]).toEqual([all, 0]);
      }),
    ),
    { numRuns: CASES },
  );
});

test("with a small backlog a reader is told of a gap if and only if it missed something, and gets the rest in order", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 4 }), (steps, limit) =>
      play(steps, limit, ({ model, readers, first }) => {
        const all = model.ids.slice(model.ids.indexOf(first) + 1);
        for (const { read, gaps } of readers) {
          expect(read).toEqual(all.filter((id) => read.includes(id)));
          expect(gaps > 0).toBe(read.length < all.length);
        }
      }),
    ),
    { numRuns: CASES },
  );
});
