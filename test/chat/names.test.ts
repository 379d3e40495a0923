/** Names: the rules, and when two are one. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { NAME_LENGTH, nameKey, parseName } from "../../src/chat/text.js";

const parsed = (raw: string) => {
  const name = parseName(raw);
  return "rule" in name ? undefined : name.name;
};

test("people's names are names, in any script, trimmed", () => {
  const names = [
    "ann",
    "Zoë",
    "小明",
    "محمد",
    "O'Brien <b>",
    "ann & bob",
    "🙂",
    "a b",
    "%2F",
    "...",
    ":user",
  ];
  for (const name of [...names, "__proto__", "constructor"]) expect(parsed(`  ${name}\t`), name).toBe(name);
});

test("a name is kept in NFC, so that one text has one name", () => {
  expect(parsed("Zoe\u0308")).toBe("Zo\u00eb");
});

test("a length is counted in code points, after NFC and trimming", () => {
  expect(parsed("🙂".repeat(NAME_LENGTH))).toBeDefined();
  expect(parsed(` ${"e\u0301".repeat(NAME_LENGTH)} `)).toBeDefined();
  expect(parsed("x".repeat(NAME_LENGTH + 1))).toBeUndefined();
  expect(parsed("x".repeat(1_000_000))).toBeUndefined();
});

test("nothing, blanks and what nobody can see are no name", () => {
  for (const raw of [
    "",
    "   ",
    "\u00a0\u3000",
    "\u200b",
    "\u3164",
    "\ufe0f\ufe0f",
    "\u2060\u00ad",
    "\ufeff",
  ]) {
    expect(parsed(raw), JSON.stringify(raw)).toBeUndefined();
  }
});

test("a name that would be another path segment is refused", () => {
  for (const raw of [".", "..", " .. ", "a/b", "/", "a\\b", "../etc"])
    expect(parsed(raw), raw).toBeUndefined();
});

test("controls, zero-width, bidi, private use, separators and halves of characters are refused", () => {
  const bad = ["\0", "\n", "\r", "\x7f", "\x85", "\u200b", "\u200d", "\u202e", "\u2066", "\u061c", "\ue000"];
  for (const character of [...bad, "\ud800", "\udc00", "\u2028", "\u2029", "\u{e0041}", "\u{f0000}"]) {
    expect(parsed(`a${character}b`), JSON.stringify(character)).toBeUndefined();
  }
});

test("a name that breaks a rule gives the rule, for people to read", () => {
  expect(parseName("a/b")).toEqual({ rule: expect.stringContaining("slash") });
  expect(parseName("x".repeat(33))).toEqual({ rule: expect.stringContaining("32") });
});

test("two names are one after NFKC and lower-casing, and only then", () => {
  for (const [one, other] of [
    ["Ann", "aNN"],
    ["ann", "ａｎｎ"],
    ["ﬁn", "fin"],
    ["ÅSA", "\u212bsa"],
    ["a b", "a\u00a0b"],
    ["Éva", "e\u0301va"],
  ] as const) {
    expect(nameKey(one), `${one} ${other}`).toBe(nameKey(other));
  }
  expect(nameKey("ann")).not.toBe(nameKey("anna"));
  expect(nameKey("Zoë")).not.toBe(nameKey("Zoe"));
});

/** Any text, with many of the characters that are treated in a way of their own. */
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

test("a name is read from itself unchanged, and has its own key", () => {
  fc.assert(
    fc.property(text, (raw) => {
      const name = parseName(raw);
      if ("rule" in name) return;
      expect(parseName(name.name)).toEqual(name);
      expect([nameKey(raw), nameKey(name.name)]).toEqual([name.key, name.key]);
    }),
    { numRuns: 20_000 },
  );
});

test("characters that show nothing make no difference, wherever they are", () => {
  fc.assert(
    fc.property(text, fc.array(fc.tuple(fc.nat(40), ignorable), { maxLength: 5 }), (raw, insertions) => {
      const characters = [...raw];
      for (const [at, character] of insertions) characters.splice(at, 0, character);
      expect(parseName(characters.join(""))).toEqual(parseName(raw));
      expect(nameKey(characters.join(""))).toBe(nameKey(raw));
    }),
    { numRuns: 20_000 },
  );
});

test("runs of white space are one space", () => {
  expect(parsed("Ann \u00a0\u3000 Lee")).toBe("Ann Lee");
});

test("a text of more than 256 UTF-16 units is no name, whatever is in it", () => {
  expect(parsed(`ann${" ".repeat(253)}`)).toBe("ann");
  expect(parsed(`ann${" ".repeat(254)}`)).toBeUndefined();
  expect(nameKey(`ann${" ".repeat(254)}`)).toBe("");
});
