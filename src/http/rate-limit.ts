/** Limits how often a caller may do something, and finds the part of an address that identifies a caller. */
import { isIP, SocketAddress } from "node:net";

/** How many callers are remembered. Beyond that, the one that was quiet for longest is forgotten. */
const MAX_CALLERS = 10_000;

/** A token bucket for each caller: `rate` tokens a second, at most `burst` seconds' worth. */
export class RateLimiter {
  /** When the bucket of a caller is full again, in milliseconds; the caller that was quiet for longest is first. */
  readonly #fullAt = new Map<string, number>();

  /**
   * @param rate how often per second; 0: no limit
   * @param burst how many seconds' worth may come at once
   */
  constructor(
    private readonly rate: number,
    private readonly burst = 4,
  ) {}

  /** Takes a token. Returns 0 if there was one, else the milliseconds until there is one. */
  take(caller: string): number {
    if (this.rate === 0) return 0;
    const now = performance.now();
    const period = 1000 / this.rate;
    const fullAt = Math.max(now, this.#fullAt.get(caller) ?? 0) + period;
    const wait = fullAt - now - Math.max(period, this.burst * 1000);
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
 * Returns the canonical form of an address: lower case, the longest run of zeros left out, an IPv4-mapped address as IPv4,
 * without zone and port. Undefined for any other text. `X-Forwarded-For` may contain ports (Azure).
 */
export function canonicalAddress(text: string): string | undefined {
  const [, bracketed, beforePort] = /^\[(.*)\](?::\d+)?$|^([^:]*):\d+$/.exec(text) ?? [];
  const address = bracketed ?? beforePort ?? text;
  if (isIP(address) !== 6) return isIP(address) === 4 ? address : undefined;
  return new SocketAddress({ address, family: "ipv6" }).address.replace(/^::ffff:(?=\d+\.)/, "");
}

/**
 * Returns the part of a canonical address that identifies one household: all of an IPv4 address, and the first 64 bits of
 * an IPv6 address, because its owner chooses the rest (RFC 4291, section 2.5.4).
 */
export function clientSubnet(address: string): string {
  if (!address.includes(":")) return address;
  const [left = [], right = []] = address.split("::").map((part) => part.split(":").filter(Boolean));
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => "0");
  return [...left, ...zeros, ...right].slice(0, 4).join(":");
}
