/** The HTML of a text with its links and code, of an item, and of a name. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { stringsFor } from "../../src/chat/strings.js";
import { markup, nameClass, nameItem } from "../../src/client/markup.js";

/** Returns the text that a browser shows for HTML. */
const shown = (html: string) =>
  html
    .replaceAll("<br>", "\n")
    .replace(/<[^>]*>/g, "")
    .replace(/&#(\d+);/g, (_, code) => String.fromCharCode(code));
const LINK = /<a href="([^"<>']*)" target="_blank" rel="noopener noreferrer nofollow">(.*?)<\/a>/g;
/** Returns the addresses of the links in a text, which are also their texts. */
const links = (text: string) =>
  [...markup(text).matchAll(LINK)].map(([, href = "", words = ""]) => {
    expect(href).toBe(words);
    return shown(href);
  });

/** Each address is in brackets here; the text is without them. */
test.each([
  "see [https://example.com/a?b=c#d] for more",
  "[HTTP://EXAMPLE.COM]",
  "(see [https://en.wikipedia.org/wiki/Long_(poll)].)",
  "[http://a.test/] [https://b.test/a], or what?",
  "“[https://example.com]”, <[https://example.com/]>, «[https://example.com/a]»",
  "看[https://example.com/a]这个, 看这里：[https://example.com/a]。谢谢",
  "[https://example.com/ü/путь]",
  "[https://example.com/]\u202Egpj.exe, [https://exa]\u200Bmple.com",
  "[https://en.example?q=Moore's_law], [https://en.wikipedia.org/wiki/Moore’s_law].",
  "'[https://example.com/a]', ‘[https://example.com/a]’, ('[https://example.com/a]','b')",
  "[https://example.com]'s page, ‘[https://example.com/a]’这个",
  "[https://example.com/a]، هل [https://example.com/b]؟ यह [https://example.com/c]। फिर",
  "（[https://example.com/a]）[https://example.com/b]！",
])("the links of a text are the addresses in brackets: %s", (text) => {
  expect(links(text.replace(/[[\]]/g, ""))).toEqual(text.match(/(?<=\[)[^\]]+/g));
});

test("a link may have the brackets of an IPv6 address, and other texts have no link", () => {
  expect(links("http://[::1]:5000/login.")).toEqual(["http://[::1]:5000/login"]);
  const others =
    "file:///etc/passwd ftp://example.com https:// http://? http://:80 https://[ a.test data:text/html,<p>";
  expect(links(`javascript:alert(1) JaVaScRiPt:alert(1)//https: ${others}`)).toEqual([]);
});

const inline = (html: string) => `<code class="inline">${html}</code>`;
const block = (html: string) => `<code class="block">${html}</code>`;

test.each([
  ["use `npm  ci` here", `use ${inline("npm  ci")} here`],
  ["`a` and `b`", `${inline("a")} and ${inline("b")}`],
  ["```\n  if (a)\n    b();\n```", block("  if (a)<br>    b();")],
  ["look:\n```js\nlet a;\n```\nok", `look:<br>${block("let a;")}<br>ok`],
  ["```one line```", block("one line")],
  ["```\na `b` c\n```", block("a `b` c")],
  ["```\n\n\tx\n\n```", block("<br>\tx<br>")],
  ["`https://a.test/`", inline("https://a.test/")],
  ["```\nhttps://a.test/\n```", block("https://a.test/")],
  ["<b>&amp;\"'`<b>&amp;`", `&#60;b&#62;&#38;amp;&#34;&#39;${inline("&#60;b&#62;&#38;amp;")}`],
])("the HTML of %j is %j", (text, html) => {
  expect(markup(text)).toBe(html);
});

test("code directly after a link is code", () => {
  expect(links("https://a.test/`b`")).toEqual(["https://a.test/"]);
  expect(markup("https://a.test/`b`")).toMatch(/<\/a><code class="inline">b<\/code>$/);
});

test.each(["a ` b", "`two\nlines`", "``", "``` never closed\n", "``````", "it's"])(
  "%j has no code",
  (text) => {
    expect(markup(text)).not.toContain("<code");
    expect(shown(markup(text))).toBe(text);
  },
);

test("the HTML of any text shows the text without the marks of code, and has no elements but these", () => {
  const pieces =
    "` ``` \n a <b> https://a.test/ http:// HtTp:// a.b ( ) . 中 \" ' ’ » ؟ । ！ / s & &#60; \u202E".split(
      " ",
    );
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(fc.constantFrom(" ", ...pieces)).map((pieces) => pieces.join("")),
  );
  fc.assert(
    fc.property(text, (text) => {
      const bare = (value: string) => value.replace(/[`\n]|```[\w+#.-]*\n/g, "").replaceAll(/[\w+#.-]/g, "");
      const html = markup(text);
      expect(bare(shown(html))).toBe(bare(text));
      if (!text.includes("`")) expect(shown(html)).toBe(text);
      for (const href of links(text)) expect(href).toMatch(/^https?:\/\/./i);
      const rest = html
        .replace(LINK, "$2")
        .replace(/<code class="(?:inline|block)">|<\/code>|<br>|&#\d+;/g, "");
      expect(rest).not.toMatch(/[<>"'&]/);
    }),
  );
});

test("a long text of backticks, brackets or full stops takes linear time", () => {
  // Would run into the test's time limit if the time grew with the square.
  for (const part of ["`", "``", "```", "`\n", "```\n", "`a\n", "```a", "https://"])
    markup(part.repeat(200_000));
  for (const end of [")", ".", ".)", "(", "'", "/'s", "/'"]) markup(`https://a${end.repeat(200_000)}`);
});

test("a name has the same colour each time, and many names have all eight colours", () => {
  expect(nameClass("Ann")).toBe(nameClass("Ann"));
  const classes = new Set(Array.from({ length: 100 }, (_, n) => nameClass(`Ann ${n}`)));
  expect([...classes].sort()).toEqual(Array.from({ length: 8 }, (_, n) => `user c${n}`));
});

test("the list of people marks the user under an earlier spelling of the name, and nobody else", () => {
  const { script } = stringsFor("en");
  expect(nameItem("Ann", "ＡNN", script)).toBe('<li><bdi>Ann</bdi> <span class="quiet">(you)</span></li>');
  expect(nameItem("<Ann>", "Ann", script)).toBe("<li><bdi>&#60;Ann&#62;</bdi></li>");
});
