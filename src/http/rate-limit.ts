/** Limits how often a caller may do something, and finds the part of an address that identifies a caller. */
import { isIP, SocketAddress } from "node:net";

/** How many callers are remembered. Beyond that, the one that was permitted longest ago is forgotten. */
const MAX_CALLERS = 10_000;

/** How many seconds' worth of tokens a caller may take at once. */
const BURST_S = 4;

/** A token bucket for each caller. */
export class RateLimiter {
  /** When the bucket of a caller is full again, in milliseconds; the caller that was permitted longest ago is first. */
  readonly #fullAt = new Map<string, number>();

  /** @param rate how often per second; 0: no limit */
  constructor(private readonly rate: number) {}

  /** Takes a token. Returns 0 if there was one, else the milliseconds until there is one. */
  take(caller: string): number {
    if (this.rate === 0) return 0;
    const now = performance.now();
    const period = 1000 / this.rate;
    const fullAt = Math.max(now, this.#fullAt.get(caller) ?? 0) + period;
    const wait = fullAt - now - Math.max(period, BURST_S * 1000);
    // A millionth of a millisecond is the error of floating-point numbers.
    if (wait > 1e-6) return wait;
    this.#fullAt.delete(caller);
    this.#fullAt.set(caller, fullAt);
    for (const [other, at] of this.#fullAt) {
      if (at > now && this.#fullAt.size <= MAX_CALLERS) break;
      this.#fullAt.delete(other);
    }
    return 0;
  }
}

/**
 * Returns the part of an address that identifies one household: all of an IPv4 address, and the first 64 bits of an IPv6
 * address, because its owner chooses the rest (RFC 4291, section 2.5.4). Undefined for any other text. The address may have
 * a port, as in `X-Forwarded-For` from Azure. Different spellings of one address have one result.
 */
export function clientSubnet(text: string): string | undefined {
  const address = text.replace(/^\[(.*)\](?::\d+)?$|^([^:]*):\d+$/, "$1$2");
  if (isIP(address) !== 6) return isIP(address) === 4 ? address : undefined;
  const canonical = new SocketAddress({ address, family: "ipv6" }).address;
  // An IPv4 address in IPv6.
  if (canonical.startsWith("::ffff:") && canonical.includes(".")) return canonical.slice(7);
  const [left = [], right = []] = canonical.split("::").map((part) => part.split(":").filter(Boolean));
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => "0");
  return [...left, ...zeros, ...right].slice(0, 4).join(":");
}
