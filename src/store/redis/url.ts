/** The options of a Redis store: where Redis is. Apart from its client, whose types may not be installed. */
import type { StoreOptions } from "../options.js";

/** Options of a Redis store. */
export interface RedisStoreOptions extends StoreOptions {
  /**
   * `redis://[[user]:password@]host[:port][/database][?prefix=…]`; `rediss://` for TLS. The names of all keys begin with the
   * prefix, so one Redis can carry several rooms. Default: `holdline`.
   */
  readonly url: string;
}

/** Returns host and port of a URL, and its prefix. Throws a `RangeError` if it is not a Redis URL. */
export function parseUrl(url: string): { place: string; prefix: string } {
  const { protocol, hostname, port, pathname, searchParams } = new URL(URL.canParse(url) ? url : "none:");
  if (/^rediss?:$/.test(protocol) && hostname !== "" && /^(\/\d*)?$/.test(pathname))
    return { place: `${hostname}:${port || 6379}`, prefix: searchParams.get("prefix") ?? "holdline" };
  // The text is not repeated: it may contain a password.
  throw new RangeError("the URL of a Redis is redis://[[user]:password@]host[:port][/database][?prefix=...]");
}
