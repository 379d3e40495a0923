/** Rates, the clientSubnet of an address, and a log that does not repeat itself; with a clock that is set by hand. */
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { canonicalAddress, clientSubnet, RateLimiter } from "../../src/http/rate-limit.js";
import { throttledLog } from "../../src/http/throttled-log.js";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** How many of so many tries are let through now. */
function through(rate: RateLimiter, caller: string, tries: number): number {
  return Array.from({ length: tries }, () => rate.take(caller)).filter((wait) => wait === 0).length;
}

describe("a rate", () => {
  test("lets a burst through, then one per period, and says how long the next one takes", () => {
    const rate = new RateLimiter(5, 4);
    expect(through(rate, "ann", 30)).toBe(20);
    expect(rate.take("ann")).toBe(200);
    vi.advanceTimersByTime(199);
    expect(rate.take("ann")).toBeCloseTo(1);
    vi.advanceTimersByTime(1);
    expect(rate.take("ann")).toBe(0);
    expect(rate.take("ann")).toBe(200);
  });

  test("is not made worse by asking in vain", () => {
    const rate = new RateLimiter(1, 1);
    expect(through(rate, "ann", 1)).toBe(1);
    for (let ms = 0; ms < 1000; ms += 10) {
      expect(rate.take("ann")).toBeGreaterThan(0);
      vi.advanceTimersByTime(10);
    }
    expect(rate.take("ann")).toBe(0);
  });

  test("is each caller's own", () => {
    const rate = new RateLimiter(1, 2);
    expect(through(rate, "ann", 9)).toBe(2);
    expect(through(rate, "bob", 9)).toBe(2);
    for (const name of ["__proto__", "constructor", ""]) expect(through(rate, name, 9)).toBe(2);
  });

  test("never saves up more than the burst", () => {
    const rate = new RateLimiter(2, 4);
    expect(through(rate, "ann", 9)).toBe(8);
    vi.advanceTimersByTime(3_600_000);
    expect(through(rate, "ann", 99)).toBe(8);
  });

  test("of less than one in the whole burst still lets one through", () => {
    const rate = new RateLimiter(0.1, 4);
    expect(through(rate, "ann", 9)).toBe(1);
    expect(rate.take("ann")).toBe(10_000);
  });

  test("of 0 is no limit", () => {
    expect(through(new RateLimiter(0, 4), "ann", 1000)).toBe(1000);
  });

  test("over any time lets through no more than the burst and what that time brings", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 200 }),
        fc.constantFrom(0.5, 1, 5, 40),
        (pauses, perSecond) => {
          const rate = new RateLimiter(perSecond, 4);
          let passed = 0;
          let time = 0;
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

  test("forgets whoever was quiet for longest when there are too many callers, and only then", () => {
    const rate = new RateLimiter(1, 1);
    rate.take("first");
    for (let n = 0; n < 9_999; n++) rate.take(`${n}`);
    expect(rate.take("first")).toBeGreaterThan(0);
    for (let n = 10_000; n < 20_000; n++) rate.take(`${n}`);
    expect(rate.take("first")).toBe(0);
  });
});

describe("a clientSubnet", () => {
  test.each([
    ["203.0.113.7", "203.0.113.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
    ["2001:db8:1:2::6", "2001:db8:1:2"],
    ["2001:db8::6", "2001:db8:0:0"],
    ["2001:db8:1:2::", "2001:db8:1:2"],
    ["1::2:3:4:5:6", "1:0:0:2"],
    ["::1", "0:0:0:0"],
    ["::", "0:0:0:0"],
    ["", ""],
  ])("of %s is %s", (address, expected) => {
    expect(clientSubnet(address)).toBe(expected);
  });

  test("is one for all addresses of a /64, and another for its neighbours", () => {
    const group = fc.integer({ min: 0, max: 0xffff }).map((n) => n.toString(16));
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), group, (groups, last) => {
        const whole = groups.join(":");
        const other = [...groups.slice(0, 7), last].join(":");
        expect(clientSubnet(other)).toBe(clientSubnet(whole));
        const next = [...groups.slice(0, 3), groups[3] === last ? `${last}0` : last, ...groups.slice(4)];
        expect(clientSubnet(next.join(":"))).not.toBe(clientSubnet(whole));
      }),
    );
  });

  test("of what is no address is something, and quickly", () => {
    for (const odd of [
      ":",
      ":::",
      "::::::::",
      "%",
      "a:b",
      "1.2.3.4:5",
      ":".repeat(16_000),
      "%".repeat(16_000),
    ]) {
      expect(typeof clientSubnet(odd)).toBe("string");
    }
  });
});

describe("the canonical form", () => {
  test.each([
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
  ])("of %s is %s", (text, expected) => {
    expect(canonicalAddress(text)).toBe(expected);
  });

  test.each([
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
  ])("of %j is none", (text) => {
    expect(canonicalAddress(text)).toBeUndefined();
  });

  test("of a long text that is no address is none", () => {
    for (const odd of [":", "%", "[", "]", "]:1", "1", "1.", "::"]) {
      expect(canonicalAddress(odd.repeat(16_000))).toBeUndefined();
      expect(canonicalAddress(`[${odd.repeat(16_000)}`)).toBeUndefined();
    }
  });
});

describe("a throttled log", () => {
  test("says each kind of trouble once a minute, and then how often it came", () => {
    const lines: string[] = [];
    const tell = throttledLog((line) => lines.push(line));
    for (let n = 0; n < 1000; n++) tell("a", `${n}`);
    tell("b", "x");
    expect(lines).toEqual(["a: 0", "b: x"]);
    vi.advanceTimersByTime(60_000);
    tell("a", "again");
    tell("a", "again");
    expect(lines.slice(2)).toEqual(["a: again (and 999 times more in the minute before)"]);
    vi.advanceTimersByTime(60_000);
    tell("b", "y");
    expect(lines.slice(3)).toEqual(["b: y"]);
  });

  test("keeps to one line, whatever a stranger made the trouble say", () => {
    const lines: string[] = [];
    const tell = throttledLog((line) => lines.push(line));
    tell("a handler failed", 'Error: bad "\r\nholdline: all is well\u2028\u0085\u001b[2J\u202e"\n    at x');
    expect(lines).toHaveLength(1);
    expect(lines[0]).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\u202e]/u);
    expect(lines[0]).toMatch(/^a handler failed: Error: bad /);
  });
});
