/** What several handlers say. */
import { type Refusal, refuse } from "./http/reply.js";

/** What callers are told to wait for a server that stops or a store in trouble, in seconds. */
const RETRY_AFTER = 5;

/** A 503 after which trying again makes sense; nothing was kept. */
export function unavailable(code: "draining" | "store_unavailable", message: string): Refusal {
  return refuse(503, code, message, { "Retry-After": `${RETRY_AFTER}` });
}

/** Somebody's room, from the chat's root. */
export function chatroomOf(name: string): string {
  return `chatroom/${encodeURIComponent(name)}/`;
}
