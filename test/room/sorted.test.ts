/** Names in order, beside a set that is sorted anew. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { SortedNames } from "../../src/room/sorted.js";

const ALL = Number.POSITIVE_INFINITY;

test("a set of names is in order after any changes, also when it is larger than a block", () => {
  const change = fc.record({
    isAdded: fc.boolean(),
    from: fc.nat(4000),
    stride: fc.constantFrom(1, 17, 1999, 4000),
    length: fc.constantFrom(1, 10, 1000, 4001),
  });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), fc.nat(2000), (changes, count) => {
      const names = new SortedNames();
      const expected = new Set<string>();
      for (const { isAdded, from, stride, length } of changes) {
        for (let n = 0; n < length; n++) {
          const name = `${(from + n * stride) % 4001}`;
          if (isAdded) names.add(name);
          else names.delete(name);
          if (isAdded) expected.add(name);
          else expected.delete(name);
        }
        const sorted = [...expected].sort();
        expect(names.first(ALL)).toEqual(sorted);
        expect(names.first(count)).toEqual(sorted.slice(0, count));
        expect(names.size).toBe(sorted.length);
      }
      const some = ["", `${count}`, "0", "4000", "9", "a"];
      expect(some.map((name) => names.has(name))).toEqual(some.map((name) => expected.has(name)));
    }),
  );
});

test("a set takes any text for a name", () => {
  const odd = ["", "__proto__", "constructor", "B", "a", "é", "😀", "\uffff"];
  const names = new SortedNames();
  for (const name of [...odd, ...odd].reverse()) names.add(name);
  expect(names.first(ALL)).toEqual([...odd].sort());
  for (const name of [...odd, "never there"]) names.delete(name);
  expect([names.first(ALL), names.size, names.has("")]).toEqual([[], 0, false]);
});
