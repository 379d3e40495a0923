/**
 * Redis' own client, as this store wants it: found when it is asked for, each one a single connection, and its URLs and
 * errors put so that people can read them.
 */
import type { createClient } from "redis";

/** Makes a client for a URL; not connected yet. */
export type Make = (url: string) => ReturnType<typeof make>;

/** How long a connection may take, in milliseconds; and an answer. What is later is taken for dead. */
export const PATIENCE = 2_500;
/** What Redis has not come to so long before we give up is not done any more, in milliseconds: the answer takes its time. */
export const MARGIN = 500;

/** The client is a peer that only who wants Redis installs. Rejects with what to do when it is not there. */
export async function load(): Promise<Make> {
  const { createClient } = await import("redis").catch((cause: unknown) => {
    throw new Error("Redis needs its client, which is not installed; run: npm install redis", { cause });
  });
  return (url) => make(createClient, url);
}

/** It neither queues nor reconnects, since what was sent too late must not be sent. */
function make(create: typeof createClient, url: string) {
  const socket = { connectTimeout: PATIENCE, reconnectStrategy: false } as const;
  return create({ url, disableOfflineQueue: true, socket });
}

/** Where a URL leads, without the password, and its prefix. Throws a `RangeError` if that is no Redis. */
export function parseUrl(url: string): { place: string; prefix: string } {
  if (URL.canParse(url)) {
    const { protocol, hostname, port, pathname, searchParams } = new URL(url);
    if (/^rediss?:$/.test(protocol) && hostname !== "" && /^(\/\d*)?$/.test(pathname)) {
      return { place: `${hostname}:${port || 6379}`, prefix: searchParams.get("prefix") ?? "holdline" };
    }
  }
  // Not what was given: it may have a password in it.
  throw new RangeError("the URL of a Redis is redis://[[user]:password@]host[:port][/database][?prefix=...]");
}

/** What is wrong, in words. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Node tries several addresses, and its error then has a code and no words.
  const words = error.message || ("code" in error ? String(error.code) : error.name);
  return words.replace(/\.$/, "");
}
