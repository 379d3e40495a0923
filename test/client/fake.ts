/** Fake time, and a room made of a fake `fetch`, with a consumer that records what it receives. */
import { afterEach, beforeEach, vi } from "vitest";
import {
  type Batch,
  type LongPollOptions,
  longPoll,
  type Message,
  type State,
} from "../../src/client/index.js";

export const second = 1000;

/** Lets time pass. */
export const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

let controller = new AbortController();

/** The signal that ends with the test. */
export const stopSignal = () => controller.signal;

/** Ends what the test began. */
export const stop = (reason?: unknown) => controller.abort(reason);

/** Gives each test fake timers, a jitter, and a signal that ends what it began. */
export function fakeTime(jitter = 0.5): void {
  beforeEach(() => {
    vi.useFakeTimers();
    vi.setSystemTime(Date.UTC(2030, 0, 1));
    vi.spyOn(Math, "random").mockReturnValue(jitter);
    controller = new AbortController();
  });
  afterEach(() => {
    stop();
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
    vi.useRealTimers();
  });
}

/** A request. */
export interface Asked {
  readonly url: string;
  readonly query: URLSearchParams;
  readonly init: RequestInit;
  readonly signal: AbortSignal;
  readonly isPost: boolean;
}
/** Answers the n-th poll or the n-th post. */
export type Answers = (asked: Asked, n: number) => Response | Promise<Response>;

export function message(id: Message["id"], text = `text of ${id}`): Message {
  return { id, user: "ann", text, at: 1 };
}

/** Returns a good reply to a poll. */
export function reply(cursor: string, messages: readonly Message[] = [], more: object = {}): Response {
  return Response.json({ cursor, present: 1, messages, ...more });
}

export function refused(status: number, code: string, headers: Record<string, string> = {}): Response {
  return Response.json({ error: { code, message: `said: ${code}` } }, { status, headers });
}

/** Returns the page of a firewall or a proxy. */
export const html = (status: number) => new Response("<!doctype html><title>Blocked</title>", { status });

/** Replies after some time. */
export function later(ms: number, answer: () => Response): Promise<Response> {
  return new Promise((resolve) => setTimeout(() => resolve(answer()), ms));
}

/** Never replies; the request ends when it is aborted. */
export function never({ signal }: { readonly signal: AbortSignal }): Promise<Response> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}

/** Replies to a probe (`wait=0`) at once, holds any other poll without end, and keeps posts. */
export function holds(asked: Asked): Response | Promise<Response> {
  if (asked.isPost) return Response.json({ id: "1-0" });
  return asked.query.get("wait") === "0" ? reply("1-0") : never(asked);
}

/** Fails as `fetch` does without a server. */
export const away = () => Promise.reject(new TypeError("fetch failed"));

/** Opens a room that gives these answers. It ends with the test. */
export function open(answers: Answers, options: Partial<LongPollOptions> = {}) {
  const asked: Asked[] = [];
  const posts: (Asked & { readonly key: string | null; readonly text: string | null })[] = [];
  const states: State[] = [];
  /** The lengths of the pauses, in ms. */
  const pauses: number[] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    if (!init?.signal) throw new Error("a request without a signal");
    const url = String(input);
    const { searchParams: query } = new URL(url, "http://chat.test/");
    const one = { url, query, init, signal: init.signal, isPost: init.method === "POST" };
    if (!one.isPost) return answers(one, asked.push(one));
    const key = new Headers(init.headers).get("idempotency-key");
    return answers(
      one,
      posts.push({ ...one, key, text: new URLSearchParams(`${init.body}`).get("message") }),
    );
  };
  const onState = (state: State) => {
    states.push(state);
    if (state.name === "waiting") pauses.push(state.until - Date.now());
  };
  const room = { base: "http://chat.test/", user: "ann", fetch, onState, signal: stopSignal(), ...options };
  return { ...longPoll(room), asked, posts, states, pauses };
}

/** Opens a room that gives these answers, and polls it until the test ends. */
export function enter(answers: Answers, options: Partial<LongPollOptions> = {}) {
  const { batches: all, ...room } = open(answers, options);
  const batches: Batch[] = [];
  const done = (async () => {
    for await (const batch of all) batches.push(batch);
  })();
  const texts = () => batches.flatMap((batch) => batch.messages.map(({ text }) => text));
  return { ...room, batches, done, texts };
}
