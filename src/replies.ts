/** What several handlers say. */
import { type Refusal, refuse } from "./http/reply.js";

/** How many seconds' worth of a rate may come at once. */
export const BURST = 4;

/** What callers are told to wait for a server that stops or a store in trouble, in seconds. */
const RETRY_AFTER = 5;

/** A 503 after which trying again makes sense; nothing was kept. */
export function unavailable(code: "draining" | "store_unavailable", message: string): Refusal {
  return refuse(503, code, message, { "Retry-After": `${RETRY_AFTER}` });
}

/** A 429: the caller is to wait for so many milliseconds. */
export function slowDown(wait: number): Refusal {
  return refuse(429, "slow_down", "Slow down a little.", { "Retry-After": `${Math.ceil(wait / 1000)}` });
}

/** Somebody's room, from the chat's root. */
export function chatroomOf(name: string): string {
  return `chatroom/${encodeURIComponent(name)}/`;
}
