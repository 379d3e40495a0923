/** Properties of names and of their keys. The rules are in the kit. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { nameKey, parseName } from "../../src/chat/text.js";

/** Returns the parsed name, or the rule that it breaks. */
const parse = (raw: string) => {
  try {
    return parseName(raw, Error);
  } catch (error) {
    return { rule: String(error) };
  }
};
const parsed = (raw: string) => {
  const name = parse(raw);
  return "rule" in name ? undefined : name.name;
};

test("a name with a control, format, private-use or separator character or a lone surrogate is rejected", () => {
  const bad = ["\0", "\n", "\r", "\x7f", "\x85", "\u200b", "\u200d", "\u202e", "\u2066", "\u061c", "\ue000"];
  for (const character of [...bad, "\ud800", "\udc00", "\u2028", "\u2029", "\u{e0041}", "\u{f0000}"]) {
    expect(parsed(`a${character}b`), JSON.stringify(character)).toBeUndefined();
  }
});

test("a rejected name gives the rule that it breaks", () => {
  expect(parse("a/b")).toEqual({ rule: expect.stringContaining("slash") });
  expect(parse("x".repeat(33))).toEqual({ rule: expect.stringContaining("32") });
});

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

test("a text of more than 256 UTF-16 units is rejected even if most of it is white space", () => {
  expect(parsed(`ann${" ".repeat(253)}`)).toBe("ann");
  expect(parsed(`ann${" ".repeat(254)}`)).toBeUndefined();
  expect(nameKey(`ann${" ".repeat(254)}`)).toBe("");
});
