/** Rates, subnets and canonical addresses, and the throttled log; with fake timers. */
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { canonicalAddress, clientSubnet, RateLimiter } from "../../src/http/rate-limit.js";
import { throttledLog } from "../../src/http/throttled-log.js";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Tries to take tokens, and returns how many there were. */
function take(rate: RateLimiter, caller: string, tries: number): number {
  return Array.from({ length: tries }, () => rate.take(caller)).filter((wait) => wait === 0).length;
}

test("a rate permits a burst, then one token per period, and returns the time until the next one", () => {
  const rate = new RateLimiter(5, 4);
  expect(take(rate, "ann", 30)).toBe(20);
  expect(rate.take("ann")).toBeCloseTo(200);
  vi.advanceTimersByTime(199);
  expect(rate.take("ann")).toBeCloseTo(1);
  vi.advanceTimersByTime(1);
  expect(rate.take("ann")).toBe(0);
  expect(rate.take("ann")).toBeCloseTo(200);
});

test("a try without a token costs nothing", () => {
  const rate = new RateLimiter(1, 1);
  expect(take(rate, "ann", 1)).toBe(1);
  for (let ms = 0; ms < 1000; ms += 10) {
    expect(rate.take("ann")).toBeGreaterThan(0);
    vi.advanceTimersByTime(10);
  }
  expect(rate.take("ann")).toBe(0);
});

test("each caller has its own rate", () => {
  const rate = new RateLimiter(1, 2);
  for (const name of ["ann", "bob", "__proto__", "constructor", ""]) expect(take(rate, name, 9)).toBe(2);
});

test("a long rest saves no more than the burst", () => {
  const rate = new RateLimiter(2, 4);
  expect(take(rate, "ann", 9)).toBe(8);
  vi.advanceTimersByTime(3_600_000);
  expect(take(rate, "ann", 99)).toBe(8);
});

test("a rate of less than one token in the burst permits one", () => {
  const rate = new RateLimiter(0.1, 4);
  expect(take(rate, "ann", 9)).toBe(1);
  expect(rate.take("ann")).toBeCloseTo(10_000);
});

test("a rate of 0 is no limit", () => {
  expect(take(new RateLimiter(0, 4), "ann", 1000)).toBe(1000);
});

test("a rate permits at most the burst and the tokens of the time that has passed", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 200 }),
      fc.constantFrom(0.5, 1, 5, 40),
      (pauses, perSecond) => {
        const rate = new RateLimiter(perSecond, 4);
        let [passed, time] = [0, 0];
        for (const pause of pauses) {
          if (rate.take("ann") === 0) passed++;
          vi.advanceTimersByTime(pause);
          time += pause;
        }
        expect(passed).toBeLessThanOrEqual(Math.max(1, perSecond * 4) + (time / 1000) * perSecond + 1e-6);
      },
    ),
  );
});

test("the caller that was quiet for longest is forgotten when there are too many, and only then", () => {
  const rate = new RateLimiter(1, 1);
  rate.take("first");
  for (let n = 0; n < 9_999; n++) rate.take(`${n}`);
  expect(rate.take("first")).toBeGreaterThan(0);
  for (let n = 10_000; n < 20_000; n++) rate.take(`${n}`);
  expect(rate.take("first")).toBe(0);
});

test.each([
  ["203.0.113.7", "203.0.113.7"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
  ["2001:db8:1:2::6", "2001:db8:1:2"],
  ["2001:db8::6", "2001:db8:0:0"],
  ["1::2:3:4:5:6", "1:0:0:2"],
  ["::1", "0:0:0:0"],
  ["::", "0:0:0:0"],
  ["", ""],
])("the subnet of %j is %j", (address, expected) => {
  expect(clientSubnet(address)).toBe(expected);
});

test("all addresses of a /64 have one subnet, and its neighbours have others", () => {
  const group = fc.integer({ min: 0, max: 0xffff }).map((n) => n.toString(16));
  fc.assert(
    fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), group, (groups, last) => {
      const subnet = clientSubnet(groups.join(":"));
      expect(clientSubnet([...groups.slice(0, 7), last].join(":"))).toBe(subnet);
      const next = [...groups.slice(0, 3), groups[3] === last ? `${last}0` : last, ...groups.slice(4)];
      expect(clientSubnet(next.join(":"))).not.toBe(subnet);
    }),
  );
});

test.each<readonly [string, string | undefined]>([
  ["203.0.113.7", "203.0.113.7"],
  ["203.0.113.7:40001", "203.0.113.7"],
  ["[203.0.113.7]:1", "203.0.113.7"],
  ["::FFFF:203.0.113.7", "203.0.113.7"],
  ["[::ffff:cb00:7107]:443", "203.0.113.7"],
  ["2001:DB8:0::0001", "2001:db8::1"],
  ["[2001:0db8:0:0:0:0:0:1]", "2001:db8::1"],
  ["FE80::1%eth0", "fe80::1"],
  ["[fe80::1%2]:80", "fe80::1"],
  ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
  ["::", "::"],
  ...[
    "",
    "a",
    "1.2.3",
    "01.2.3.4",
    "1.2.3.4:",
    "1.2.3.4:x",
    ":1",
    "[]",
    "[]:1",
    "[::1",
    "::1]",
    "1::2::3",
  ].map((text) => [text, undefined] as const),
])("the canonical form of %j is %j", (text, expected) => {
  expect(canonicalAddress(text)).toBe(expected);
});

test.each([":", "%", "[", "]", "]:1", "1", "1.", "::"])("64 KB of %j are no address", (text) => {
  expect(canonicalAddress(text.repeat(16_000))).toBeUndefined();
  expect(canonicalAddress(`[${text.repeat(16_000)}`)).toBeUndefined();
  expect(typeof clientSubnet(text.repeat(16_000))).toBe("string");
});

test("the throttled log writes each kind of trouble once a minute, and how often it came", () => {
  const lines: string[] = [];
  const log = throttledLog((line) => lines.push(line));
  for (let n = 0; n < 1000; n++) log("a", `${n}`);
  log("b", "x");
  expect(lines).toEqual(["a: 0", "b: x"]);
  vi.advanceTimersByTime(60_000);
  log("a", "again");
  log("a", "again");
  expect(lines.slice(2)).toEqual(["a: again (and 999 times more in the minute before)"]);
  vi.advanceTimersByTime(60_000);
  log("b", "y");
  expect(lines.slice(3)).toEqual(["b: y"]);
});

test("the throttled log writes one line, whatever the client has chosen as text", () => {
  const lines: string[] = [];
  const log = throttledLog((line) => lines.push(line));
  log("a handler failed", 'Error: bad "\r\nholdline: all is well\u2028\u0085\u001b[2J\u202e"\n    at x');
  expect(lines).toHaveLength(1);
  expect(lines[0]).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\u202e]/u);
  expect(lines[0]).toMatch(/^a handler failed: Error: bad /);
});
