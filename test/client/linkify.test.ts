/** The links in a text, and texts without links. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { linkify } from "../../src/client/linkify.js";

const links = (text: string) => linkify(text).flatMap(({ href }) => (href === undefined ? [] : [href]));

test.each([
  ["see https://example.com/a?b=c#d for more", "https://example.com/a?b=c#d"],
  ["HTTP://EXAMPLE.COM", "HTTP://EXAMPLE.COM"],
  ["(https://example.com)", "https://example.com"],
  ["(see https://en.wikipedia.org/wiki/Long_(poll).)", "https://en.wikipedia.org/wiki/Long_(poll)"],
  ["https://example.com/a, or what?", "https://example.com/a"],
  ["“https://example.com”", "https://example.com"],
  ["<https://example.com>", "https://example.com"],
  ["看https://example.com/a这个", "https://example.com/a"],
  ["看这里：https://example.com/a。谢谢", "https://example.com/a"],
  ["http://127.0.0.1:5000/login", "http://127.0.0.1:5000/login"],
  ["https://example.com/ü/путь", "https://example.com/ü/путь"],
  ["https://example.com/\u202Egpj.exe", "https://example.com/"],
  ["https://exa\u200Bmple.com", "https://exa"],
  ["https://en.wikipedia.org/wiki/Moore's_law", "https://en.wikipedia.org/wiki/Moore's_law"],
  ["https://en.wikipedia.org/wiki/Moore’s_law.", "https://en.wikipedia.org/wiki/Moore’s_law"],
  ["https://en.wikipedia.org/wiki/Rock_'n'_Roll?", "https://en.wikipedia.org/wiki/Rock_'n'_Roll"],
  ["'https://example.com/a'", "https://example.com/a"],
  ["‘https://example.com/a’", "https://example.com/a"],
  ["['https://example.com/a','b']", "https://example.com/a"],
  ["https://example.com's page", "https://example.com"],
  ["‘https://example.com/a’这个", "https://example.com/a"],
  ["«https://example.com/a»", "https://example.com/a"],
  ["« https://example.com/a »", "https://example.com/a"],
  ["‹https://example.com/a›", "https://example.com/a"],
  ["https://example.com/a، ثم", "https://example.com/a"],
  ["هل https://example.com/a؟", "https://example.com/a"],
  ["यह https://example.com/a। फिर", "https://example.com/a"],
  ["https://example.com/a！", "https://example.com/a"],
  ["（https://example.com/a）", "https://example.com/a"],
])("in %j the link is %j", (text, link) => {
  expect(links(text)).toEqual([link]);
});

test.each([
  "javascript:alert(1)",
  "JaVaScRiPt:alert(1)//https:",
  "data:text/html,<script>alert(1)</script>",
  "file:///etc/passwd",
  "ftp://example.com",
  "https://",
  "http://?",
  "https://[",
  "example.com",
  "",
])("in %j there is no link", (text) => {
  expect(links(text)).toEqual([]);
});

test("two links in a line are separate links", () => {
  expect(links("http://a.test/ https://b.test/")).toEqual(["http://a.test/", "https://b.test/"]);
});

test("the pieces, joined, are the text, and a link leads to http or https", () => {
  const pieces = "http:// https:// HtTp:// a.b ( ) . 中 < \" ' ’ » ؟ । ！ / s \u202E".split(" ");
  const piece = fc.constantFrom(" ", "\n", ...pieces);
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(piece).map((pieces) => pieces.join("")),
  );
  fc.assert(
    fc.property(text, (text) => {
      const pieces = linkify(text);
      expect(pieces.map(({ text }) => text).join("")).toBe(text);
      for (const { href } of pieces) if (href) expect(new URL(href).protocol).toMatch(/^https?:$/);
    }),
  );
});

test("a long text of brackets and full stops takes linear time", () => {
  // Would run into the test's time limit if the time grew with the square.
  for (const end of [")", ".", ".)", "https://", "(", "'", "/'s", "/'"])
    linkify(`https://a${end.repeat(200_000)}`);
});
