/** The client of Redis, an optional peer dependency: loaded on demand, and errors in words. */
import type { createClient } from "redis";

/** Makes a client for a URL; it is not connected yet. */
export type CreateClient = (url: string) => ReturnType<typeof make>;

/** How long a connection, or an answer, may take. After that the connection counts as lost. */
export const TIMEOUT_MS = 2_500;
/** Redis skips a command whose caller gives up within this time, because the reply needs time, too. */
const REPLY_MARGIN_MS = 500;
/** How long Redis has to begin with a command. */
export const DEADLINE_MS = TIMEOUT_MS - REPLY_MARGIN_MS;

/** Loads the client. Rejects with what to do if it is not installed. */
export async function loadClient(): Promise<CreateClient> {
  const { createClient } = await import("redis").catch((cause: unknown) => {
    throw new Error("Redis needs its client, which is not installed; run: npm install redis", { cause });
  });
  return (url) => make(createClient, url);
}

/** The client neither queues nor reconnects, because a command that is late must not be sent. */
function make(create: typeof createClient, url: string) {
  // The client passes an IPv6 address with its brackets to the resolver, which fails.
  const [, host] = /^\[(.*)\]$/.exec(new URL(url).hostname) ?? [];
  const socket = { connectTimeout: TIMEOUT_MS, reconnectStrategy: false, ...(host && { host }) } as const;
  return create({ url, disableOfflineQueue: true, socket });
}

/** Returns host and port of a URL, and its prefix. Throws a `RangeError` if it is not a Redis URL. */
export function parseUrl(url: string): { place: string; prefix: string } {
  if (URL.canParse(url)) {
    const { protocol, hostname, port, pathname, searchParams } = new URL(url);
    if (/^rediss?:$/.test(protocol) && hostname !== "" && /^(\/\d*)?$/.test(pathname)) {
      return { place: `${hostname}:${port || 6379}`, prefix: searchParams.get("prefix") ?? "holdline" };
    }
  }
  // The text is not repeated: it may contain a password.
  throw new RangeError("the URL of a Redis is redis://[[user]:password@]host[:port][/database][?prefix=...]");
}

/** Returns what is wrong, in words. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Node tries several addresses, and its error then has a code and no words.
  const words = error.message || ("code" in error ? String(error.code) : error.name);
  return words.replace(/\.$/, "");
}
