/** Names: the rules, and when two are one. */
import { expect, test } from "vitest";
import { NAME_LENGTH, nameKey, parseName } from "../../src/room/text.js";

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
