/** Properties of names and of their keys, and the time of a long message. The rules are in the kit. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { nameKey, parseName, parseText } from "../../src/chat/text.js";

/** Returns the parsed name, or the rule that it breaks. */
const parse = (raw: string) => {
  try {
    return parseName(raw, Error);
  } catch (error) {
    return { rule: String(error) };
  }
};

/** Any text, with many characters that have a special treatment. */
const ignorable = fc.constantFrom(
  ..."\u034f\u115f\u1160\u17b4\u180b\u2065\u2800\u3164\ufe0f\uffa0\ufff0\uffff\ufffc\u{1d159}\u{e0100}\u{e0fff}",
);
const nasty = fc.constantFrom(
  ..." \t\u00a0\u2003\u3000\u00b4\u0301\u0316\u030a\u1100\u1161\u11a8\u0130\u03a3\u03c3\u212a\ufb01\ufdfa./\u2024\uff0f",
);
const text = fc.string({
  unit: fc.oneof(
    fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
    fc.constantFrom(..."aAnN"),
    nasty,
    ignorable,
  ),
  maxLength: 40,
});

test("a parsed name parses to itself and has the key of its raw text", () => {
  fc.assert(
    fc.property(text, (raw) => {
      const name = parse(raw);
      if ("rule" in name) return;
      expect(parse(name.name)).toEqual(name);
      expect([nameKey(raw), nameKey(name.name)]).toEqual([name.key, name.key]);
    }),
    { numRuns: 20_000 },
  );
});

test("an invisible character at any place changes neither the name nor its key", () => {
  fc.assert(
    fc.property(text, fc.array(fc.tuple(fc.nat(40), ignorable), { maxLength: 5 }), (raw, insertions) => {
      const characters = [...raw];
      for (const [at, character] of insertions) characters.splice(at, 0, character);
      expect(parse(characters.join(""))).toEqual(parse(raw));
      expect(nameKey(characters.join(""))).toBe(nameKey(raw));
    }),
    { numRuns: 20_000 },
  );
});

test("a name with a lone surrogate is rejected", () => {
  for (const name of ["a\ud800b", "a\udc00"]) expect(parse(name)).toHaveProperty("rule");
});

test("a text of more than 256 UTF-16 units is rejected even if most of it is white space", () => {
  expect(parse(`ann${" ".repeat(253)}`)).toMatchObject({ name: "ann" });
  expect(parse(`ann${" ".repeat(254)}`)).toEqual({ rule: expect.stringContaining("32") });
  expect(nameKey(`ann${" ".repeat(254)}`)).toBe("");
});

// A pattern with backtracking takes seconds for a body of 64 KiB, and minutes for this text.
test("a message of 100,000 line ends is parsed in linear time", { timeout: 5_000 }, () => {
  for (const text of ["\r\n".repeat(100_000), `a${"\n".repeat(100_000)}b`])
    expect(() => parseText(text, Error)).toThrow();
});
