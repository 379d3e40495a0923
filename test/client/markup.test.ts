/** Code in a text, and the colours of names. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { markup, nameClass } from "../../src/client/markup.js";

const inline = (text: string) => ({ text, code: "inline" });
const block = (text: string) => ({ text, code: "block" });

test.each([
  ["use `npm  ci` here", [{ text: "use " }, inline("npm  ci"), { text: " here" }]],
  ["`a` and `b`", [inline("a"), { text: " and " }, inline("b")]],
  ["```\n  if (a)\n    b();\n```", [block("  if (a)\n    b();")]],
  ["look:\n```js\nlet a;\n```\nok", [{ text: "look:\n" }, block("let a;"), { text: "\nok" }]],
  ["```one line```", [block("one line")]],
  ["```\na `b` c\n```", [block("a `b` c")]],
  ["```\n\n\tx\n\n```", [block("\n\tx\n")]],
  ["`https://a.test/`", [inline("https://a.test/")]],
  ["```\nhttps://a.test/\n```", [block("https://a.test/")]],
  ["https://a.test/`b`", [{ text: "https://a.test/", href: "https://a.test/" }, inline("b")]],
  ["`<b>&amp;`", [inline("<b>&amp;")]],
])("the pieces of %j are %j", (text, pieces) => {
  expect(markup(text)).toEqual(pieces);
});

test.each(["a ` b", "`two\nlines`", "``", "``` never closed\n", "``````", "", "it's"])(
  "%j has no code",
  (text) => {
    expect(markup(text)).toEqual(text === "" ? [] : [{ text }]);
  },
);

test("the pieces of any text, joined, are the text without backticks, languages and line ends at fences", () => {
  const piece = fc.constantFrom("`", "```", "\n", "a", " ", "<b>", "https://a.test/", "؟", "\u202E");
  fc.assert(
    fc.property(
      fc.array(piece).map((pieces) => pieces.join("")),
      (text) => {
        const bare = (value: string) => value.replace(/[`\n]|```a?/g, "").replaceAll("a", "");
        const joined = markup(text).map((piece) => piece.text);
        expect(bare(joined.join(""))).toBe(bare(text));
        for (const { text: shown, href, code } of markup(text)) {
          expect(shown).not.toBe("");
          expect(code && href).toBe(undefined);
        }
      },
    ),
  );
});

test("a long text of backticks takes linear time", () => {
  // Would run into the test's time limit if the time grew with the square.
  for (const part of ["`", "``", "```", "`\n", "```\n", "`a\n", "```a"]) markup(part.repeat(200_000));
});

test("a name has the same colour each time, and many names have all eight colours", () => {
  expect(nameClass("Ann")).toBe(nameClass("Ann"));
  const classes = new Set(Array.from({ length: 100 }, (_, n) => nameClass(`Ann ${n}`)));
  expect([...classes].sort()).toEqual(Array.from({ length: 8 }, (_, n) => `user c${n}`));
});
