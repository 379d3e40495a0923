/** A room made of a fake `fetch`, and a consumer that records what it receives. */
import {
  type Batch,
  type LongPollOptions,
  longPoll,
  type Message,
  type State,
} from "../../src/client/index.js";
import { stopSignal } from "./fake-time.js";

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

/** Replies after some time. */
export function later(ms: number, answer: () => Response): Promise<Response> {
  return new Promise((resolve) => setTimeout(() => resolve(answer()), ms));
}

/** Never replies; the request ends when it is aborted. */
export function never({ signal }: { readonly signal: AbortSignal }): Promise<Response> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}

/** Replies to a probe (`wait=0`) at once, and holds any other poll without end. */
export function holds(asked: Asked): Response | Promise<Response> {
  return asked.query.get("wait") === "0" ? reply("1-0") : never(asked);
}

/** Fails as `fetch` does without a server. */
export const away = () => Promise.reject(new TypeError("fetch failed"));

/** Starts a poll of a room that gives these answers. It ends with the test. */
export function enter(answers: Answers, options: Partial<LongPollOptions> = {}) {
  const asked: Asked[] = [];
  const batches: Batch[] = [];
  const states: State[] = [];
  /** The lengths of the pauses, in ms. */
  const pauses: number[] = [];
  const fetch: typeof globalThis.fetch = async (url, init) => {
    if (!init?.signal) throw new Error("a poll without a signal");
    const one = { query: new URL(String(url)).searchParams, signal: init.signal };
    asked.push(one);
    return answers(one, asked.length);
  };
  const onState = (state: State) => {
    states.push(state);
    if (state.name === "waiting") pauses.push(state.until - Date.now());
  };
  const signal = stopSignal();
  const room = longPoll({ base: "http://chat.test/", user: "ann", fetch, onState, signal, ...options });
  const done = (async () => {
    for await (const batch of room.batches) batches.push(batch);
  })();
  const texts = () => batches.flatMap((batch) => batch.messages.map((m) => m.text));
  return { asked, batches, states, pauses, done, texts };
}
