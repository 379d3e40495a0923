/** Bounds on how often a stranger may ask: token buckets, and by which part of an address strangers are told apart. */
import { isIP, SocketAddress } from "node:net";

/** How many callers are remembered. Beyond that, the caller that was idle for longest is forgotten. */
const CALLERS = 10_000;

/** How many seconds' worth of a rate may come at once. */
const BURST_S = 4;

interface Bucket {
  tokens: number;
  at: number;
}

/**
 * Token buckets: each caller may do `rate` things a second, and `burst` seconds' worth at once after a rest.
 */
export class RateLimiter {
  readonly #rate: number;
  readonly #size: number;
  readonly #buckets = new Map<string, Bucket>();

  /**
   * @param rate how often per second; 0: no limit
   * @param burstS how many seconds' worth may come at once; default 4
   */
  constructor(rate: number, burstS = BURST_S) {
    this.#rate = rate;
    this.#size = Math.max(1, rate * burstS);
  }

  /** Takes one token. Gives 0 when there was one, else the milliseconds until there is. */
  take(caller: string): number {
    if (this.#rate === 0) return 0;
    const now = performance.now();
    const bucket = this.#buckets.get(caller) ?? { tokens: this.#size, at: now };
    const tokens = Math.min(this.#size, bucket.tokens + ((now - bucket.at) / 1000) * this.#rate);
    // To the end of the map, which so begins with who was quiet for longest.
    this.#buckets.delete(caller);
    this.#buckets.set(caller, { tokens: tokens < 1 ? tokens : tokens - 1, at: now });
    this.#forget(now);
    return tokens < 1 ? ((1 - tokens) / this.#rate) * 1000 : 0;
  }

  /** Lets go of those whose bucket is full again, and of the quietest when there are too many. */
  #forget(now: number): void {
    const full = (this.#size / this.#rate) * 1000;
    for (const [caller, { at }] of this.#buckets) {
      if (now - at < full && this.#buckets.size <= CALLERS) return;
      this.#buckets.delete(caller);
    }
  }
}

/**
 * Returns the canonical form of an address: lower case, the longest run of zeros cut out, an IPv4-mapped address as IPv4,
 * without zone and port. Undefined for any other text. Ports are common in `X-Forwarded-For` (Azure).
 */
export function canonicalAddress(text: string): string | undefined {
  const [, bracketed, beforePort] = /^\[(.*)\](?::\d+)?$|^([^:]*):\d+$/.exec(text) ?? [];
  const address = bracketed ?? beforePort ?? text;
  if (isIP(address) !== 6) return isIP(address) === 4 ? address : undefined;
  return new SocketAddress({ address, family: "ipv6" }).address.replace(/^::ffff:(?=\d+\.)/, "");
}

/**
 * The part of a canonical address that one household can be told by: of IPv6 the first 64 bits, since the rest is free to
 * choose (RFC 4291, 2.5.4), of IPv4 all.
 */
export function clientSubnet(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail = ""] = address.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => "0");
  return [...left, ...zeros, ...right].slice(0, 4).join(":");
}
