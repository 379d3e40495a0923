/** Replies of a fake server to polls and posts. */
import type { Message } from "../../src/client/index.js";

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
