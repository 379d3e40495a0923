/** What several handlers say. */
import { type Refusal, refuse } from "./http/reply.js";

/** How many seconds' worth of a rate may come at once. */
export const BURST = 4;

/** A 503 after which trying again makes sense; nothing was kept. @param seconds to wait before that */
export function unavailable(
  code: "draining" | "store_unavailable" | "too_many_waiters",
  message: string,
  seconds = 5,
): Refusal {
  return refuse(503, code, message, { "Retry-After": `${seconds}` });
}

/** A 429: the caller is to wait for so many milliseconds. */
export function slowDown(wait: number): Refusal {
  return refuse(429, "slow_down", "Slow down a little.", { "Retry-After": `${Math.ceil(wait / 1000)}` });
}

/** Somebody's room, from the chat's root. */
export function chatroomOf(name: string): string {
  return `chatroom/${encodeURIComponent(name)}/`;
}
