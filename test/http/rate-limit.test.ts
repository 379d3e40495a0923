/** Rates, subnets and canonical addresses, and the throttled log; with fake timers. */
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { throttledLog } from "../../src/http/log.js";
import { clientSubnet, RateLimiter } from "../../src/http/rate-limit.js";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

test("a rate permits at most the burst and the tokens of the time that has passed", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 200 }),
      fc.constantFrom(0.5, 1, 5, 40),
      (pauses, perSecond) => {
        const rate = new RateLimiter(perSecond);
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
  const rate = new RateLimiter(0.25);
  rate.take("first");
  for (let n = 0; n < 9_999; n++) rate.take(`${n}`);
  expect(rate.take("first")).toBeGreaterThan(0);
  for (let n = 10_000; n < 20_000; n++) rate.take(`${n}`);
  expect(rate.take("first")).toBe(0);
});

test("a subnet is an IPv4 address or the first half of an IPv6 address, in one spelling, without a port", () => {
  for (const [text, expected] of [
    ["203.0.113.7", "203.0.113.7"],
    ["203.0.113.7:40001", "203.0.113.7"],
    ["[203.0.113.7]:1", "203.0.113.7"],
    ["::FFFF:203.0.113.7", "203.0.113.7"],
    ["[::ffff:cb00:7107]:443", "203.0.113.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
    ["2001:DB8:0::0001", "2001:db8:0:0"],
    ["[2001:0db8:0:0:0:0:0:1]", "2001:db8:0:0"],
    ["[fe80::1%2]:80", "fe80:0:0:0"],
    ["1:2:3:4:5:6:7::", "1:2:3:4"],
    ["1::2:3:4:5:6", "1:0:0:2"],
    ["::", "0:0:0:0"],
  ] as const)
    expect([text, clientSubnet(text)]).toEqual([text, expected]);
  const wrong = " a 1.2.3 01.2.3.4 1.2.3.4: 1.2.3.4:x :1 [] []:1 [::1 1::2::3".split(" ");
  wrong.push(...[":", "%", "[", "]:1", "1.", "::"].map((text) => text.repeat(16_000)));
  for (const text of wrong) expect([text, clientSubnet(text)]).toEqual([text, undefined]);
});

test("the throttled log writes each kind of trouble once a minute, in one line", () => {
  const lines: string[] = [];
  const log = throttledLog((line) => lines.push(line));
  for (let n = 0; n < 1000; n++) log("a", `${n}`);
  log("b", 'Error: bad "\r\nholdline: all is well\u2028\u0085\u001b[2J\u202e"\n    at x');
  vi.advanceTimersByTime(60_000);
  log("a", "again");
  expect(lines).toEqual(["a: 0", expect.stringMatching(/^b: Error: bad /), "a: again"]);
  // A client may have chosen the text.
  for (const line of lines) expect(line).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\u202e]/u);
});
