/** Ids and cursors. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { compareIds, type Id, isCursor, isId, nextId, parseId } from "../../src/feed/id.js";

const integer = fc.oneof(fc.nat(20), fc.maxSafeNat());
const id = fc.tuple(integer, integer).map(([ms, n]): Id => `${ms}-${n}`);

test("ids are compared as two integers", () => {
  const inOrder: Id[] = ["0-0", "0-1", "0-9", "0-10", "5-0", "9-99", "10-0", "1700000000000-0"];
  for (const [n, earlier] of inOrder.entries()) {
    expect(compareIds(earlier, earlier)).toBe(0);
    for (const later of inOrder.slice(n + 1)) {
      expect(compareIds(earlier, later)).toBeLessThan(0);
      expect(compareIds(later, earlier)).toBeGreaterThan(0);
    }
  }
});

test("an id of 64-bit integers is after all exact ids", () => {
  expect(compareIds("18446744073709551615-0", `${Number.MAX_SAFE_INTEGER}-0`)).toBeGreaterThan(0);
  expect(compareIds("5-18446744073709551615", `5-${Number.MAX_SAFE_INTEGER}`)).toBeGreaterThan(0);
});

test("the next id is after the last one, with any clock", () => {
  fc.assert(
    fc.property(id, integer, (last, now) => {
      fc.pre(parseId(last)[1] < Number.MAX_SAFE_INTEGER);
      const next = nextId(last, now);
      expect(compareIds(next, last)).toBeGreaterThan(0);
      expect(isId(next)).toBe(true);
    }),
  );
});

test("the next id has the time, or a greater counter if the clock has not moved on", () => {
  expect(nextId("1000-7", 1001)).toBe("1001-0");
  expect(nextId("1000-7", 1000)).toBe("1000-8");
  expect(nextId("1000-7", 3)).toBe("1000-8");
});

test.each(["0", "0-0", "1700000000000-12", "18446744073709551615-18446744073709551615"])(
  "%j is a cursor",
  (text) => {
    expect(isCursor(text)).toBe(true);
  },
);

test.each([
  ...[
    "",
    "now",
    "1",
    "00",
    "-",
    "1-",
    "-1",
    "1-2-3",
    "01-2",
    "1-02",
    "+1-2",
    "1.5-2",
    "1e3-2",
    " 1-2",
    "1-2\n",
  ],
  ...["0x1-2", "١-٢", "123456789012345678901-0", "NaN-0", "1-2 or 1=1"],
])("%j is not a cursor", (text) => {
  expect(isCursor(text)).toBe(false);
});
