/** Fake time, and a room made of a fake `fetch`, with a consumer that records what it receives. */
import { afterEach, beforeEach, vi } from "vitest";
import { type Batch, type LongPollOptions, longPoll, type State } from "../../src/client/index.js";
import type { Answers, Asked } from "./replies.js";

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

/** Gives the test a window, as a browser has one. It ends with the test. */
export function fakeWindow(): EventTarget {
  const target = new EventTarget();
  vi.stubGlobal("addEventListener", target.addEventListener.bind(target));
  vi.stubGlobal("removeEventListener", target.removeEventListener.bind(target));
  return target;
}
