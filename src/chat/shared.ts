/** What several parts of the chat share: errors, paths and ids. */
import { createHash, randomBytes } from "node:crypto";
import type { RateLimiter } from "../http/rate-limit.js";
import { HttpError } from "../http/response.js";
import { FORM_ID_LENGTH, StoreUnavailable } from "../store/store.js";

/** A value, or a promise of it. */
export type Awaitable<T> = T | Promise<T>;

/** Calls `next` with a value. Without a promise in between, a poll is held in the tick in which it came. */
export function chain<T, R>(value: Awaitable<T>, next: (value: T) => Awaitable<R>): Awaitable<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/** Returns a 503: nothing was kept, and the caller may try again after `retryAfterS` seconds. */
export function unavailable(code: string, message: string, retryAfterS = 5): HttpError {
  return new HttpError(503, code, message, { "Retry-After": `${retryAfterS}` });
}

const STORE_UNAVAILABLE = "Messages cannot be kept now. Nothing was changed. Try again soon.";

/** Returns the error for the caller: a 503 if the store is unavailable, else the same error. */
export function toHttpError(error: unknown): unknown {
  return error instanceof StoreUnavailable ? unavailable("store_unavailable", STORE_UNAVAILABLE) : error;
}

/** Takes one token of a rate limit. Throws a 429 if there is none. */
export function limitRate(rate: RateLimiter, caller: string): void {
  const waitMs = rate.take(caller);
  if (waitMs === 0) return;
  const headers = { "Retry-After": `${Math.ceil(waitMs / 1000)}` };
  throw new HttpError(429, "slow_down", "Too many requests. Wait a few seconds.", headers);
}

/** Returns the path of a member's room, from the chat's root. */
export function roomPath(name: string): string {
  return `chatroom/${encodeURIComponent(name)}/`;
}

/** Returns the client of a member's page for the feed. The id of a page has no space, so this is unambiguous. */
export const clientOf = (page: string, key: string) => `${page} ${key}`;

/** Returns a hash of 132 bits. It stands for a session or a text where others may read it. */
export function hash(text: string): string {
  return createHash("sha256").update(text).digest("base64url").slice(0, 22);
}

/** Returns `FORM_ID_LENGTH` random characters: 96 bits in base64url. */
export function randomId(): string {
  return randomBytes((FORM_ID_LENGTH / 4) * 3).toString("base64url");
}
