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

test("a rate returns the time until the next token", () => {
  const rate = new RateLimiter(5, 4);
  expect(take(rate, "ann", 30)).toBe(20);
  expect(rate.take("ann")).toBeCloseTo(200);
  vi.advanceTimersByTime(200);
  expect([rate.take("ann"), rate.take("ann")]).toEqual([0, expect.closeTo(200)]);
});

test.each([
  ["2 a second", 2, 8],
  ["less than one token in the burst", 0.1, 1],
  ["0, which is no limit", 0, 99],
])("a rate of %s permits no more after a long rest, for each caller", (_, perSecond, expected) => {
  const rate = new RateLimiter(perSecond, 4);
  for (let round = 0; round < 2; round++) {
    for (const name of ["ann", "__proto__", ""]) expect(take(rate, name, 99)).toBe(expected);
    vi.advanceTimersByTime(3_600_000);
  }
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
  ["2001:db8::6", "2001:db8:0:0"],
  ["1::2:3:4:5:6", "1:0:0:2"],
  ["::", "0:0:0:0"],
])("the subnet of %j is %j", (address, expected) => {
  expect(clientSubnet(address)).toBe(expected);
});

test.each<readonly [string, string | undefined]>([
  ["203.0.113.7", "203.0.113.7"],
  ["203.0.113.7:40001", "203.0.113.7"],
  ["[203.0.113.7]:1", "203.0.113.7"],
  ["::FFFF:203.0.113.7", "203.0.113.7"],
  ["[::ffff:cb00:7107]:443", "203.0.113.7"],
  ["2001:DB8:0::0001", "2001:db8::1"],
  ["[2001:0db8:0:0:0:0:0:1]", "2001:db8::1"],
  ["[fe80::1%2]:80", "fe80::1"],
  ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
  ["::", "::"],
  ...["", "a", "1.2.3", "01.2.3.4", "1.2.3.4:", "1.2.3.4:x", ":1", "[]", "[]:1", "[::1", "1::2::3"].map(
    (text) => [text, undefined] as const,
  ),
  ...[":", "%", "[", "]:1", "1.", "::"].map((text) => [text.repeat(16_000), undefined] as const),
])("the canonical form of %.40j is %j", (text, expected) => {
  expect(canonicalAddress(text)).toBe(expected);
});

test("the throttled log writes each kind of trouble once a minute, and how often it came, in one line", () => {
  const lines: string[] = [];
  const log = throttledLog((line) => lines.push(line));
  for (let n = 0; n < 1000; n++) log("a", `${n}`);
  log("b", 'Error: bad "\r\nholdline: all is well\u2028\u0085\u001b[2J\u202e"\n    at x');
  vi.advanceTimersByTime(60_000);
  log("a", "again");
  vi.advanceTimersByTime(60_000);
  log("a", "last");
  const more = "a: again (and 999 times more in the minute before)";
  expect(lines).toEqual(["a: 0", expect.stringMatching(/^b: Error: bad /), more, "a: last"]);
  // A client may have chosen the text.
  for (const line of lines) expect(line).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\u202e]/u);
});
