/** Errors and paths that several handlers share. */
import { HttpError } from "../http/response.js";

export const BAD_BEFORE = new HttpError(400, "bad_cursor", "`before` is not the id of a message.");

/** Returns a 503: nothing was kept, and the caller may try again after some seconds. */
export function unavailable(
  code: "draining" | "store_unavailable" | "too_many_waiters",
  message: string,
  seconds = 5,
): HttpError {
  return new HttpError(503, code, message, { "Retry-After": `${seconds}` });
}

/** Returns a 429. @param wait the milliseconds until the next request is allowed */
export function slowDown(wait: number): HttpError {
  const seconds = Math.ceil(wait / 1000);
  return new HttpError(429, "slow_down", "Too many requests. Wait a few seconds.", {
    "Retry-After": `${seconds}`,
  });
}

/** Returns the path of a member's room, from the chat's root. */
export function roomPath(name: string): string {
  return `chatroom/${encodeURIComponent(name)}/`;
}
