/** A room made of a fake `fetch`, and a consumer that records what it receives. */
import { afterEach, beforeEach, vi } from "vitest";
import {
  type Batch,
  type LongPollOptions,
  longPoll,
  type Message,
  type State,
} from "../../src/client/index.js";

/** Fake timers for each test, a jitter of one half, and a signal that ends what the test began. */
export function fakeTime(): { readonly signal: () => AbortSignal; readonly abort: () => void } {
  let stop = new AbortController();
  beforeEach(() => {
    vi.useFakeTimers();
    vi.spyOn(Math, "random").mockReturnValue(0.5);
    stop = new AbortController();
  });
  afterEach(() => {
    stop.abort();
    vi.restoreAllMocks();
    vi.useRealTimers();
  });
  return { signal: () => stop.signal, abort: () => stop.abort() };
}

export interface Asked {
  readonly query: URLSearchParams;
  readonly signal: AbortSignal;
}
export type Answers = (asked: Asked, n: number) => Response | Promise<Response>;

export function message(id: Message["id"], text = `text of ${id}`): Message {
  return { id, user: "ann", text, at: 1 };
}

/** Returns a good reply. */
export function reply(cursor: string, messages: readonly Message[] = [], more: object = {}): Response {
  return Response.json({ cursor, present: 1, messages, ...more });
}

export function refused(status: number, code: string, headers: Record<string, string> = {}): Response {
  return Response.json({ error: { code, message: `said: ${code}` } }, { status, headers });
}

/** Never replies; the poll ends when it is aborted. */
export function never({ signal }: Asked): Promise<Response> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}

/** Replies to a probe (`wait=0`) at once, and holds any other poll without end. */
export function holds(asked: Asked): Response | Promise<Response> {
  return asked.query.get("wait") === "0" ? reply("1-0") : never(asked);
}

/** Starts a poll of a room that gives these answers. */
export function enter(answers: Answers, options: Partial<LongPollOptions> = {}) {
  const asked: Asked[] = [];
  const batches: Batch[] = [];
  const states: State[] = [];
  const fetch: typeof globalThis.fetch = async (url, init) => {
    if (!init?.signal) throw new Error("a poll without a signal");
    const one = { query: new URL(String(url)).searchParams, signal: init.signal };
    asked.push(one);
    return answers(one, asked.length);
  };
  const onState = (state: State) => states.push(state);
  const room = longPoll({ base: "http://chat.test/", user: "ann", fetch, onState, ...options });
  const done = (async () => {
    for await (const batch of room.batches) batches.push(batch);
  })();
  const texts = () => batches.flatMap((batch) => batch.messages.map((m) => m.text));
  return { asked, batches, states, done, texts };
}
