/** The language of a caller, and that each language has all texts. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { stringsFor } from "../../src/chat/strings.js";

test("a caller gets English, or Chinese if it prefers any Chinese to English", () => {
  const english = [undefined, "", "*", "de, fr;q=0.8", "en", "en-US,en;q=0.9,zh-CN;q=0.8", "zh;q=nonsense"];
  english.push("zh;q=0", "zhuang", "zh;q=0, en;q=0.1", ",,;;q=1,=");
  for (const header of english) expect([header, stringsFor(header).lang]).toEqual([header, "en"]);
  const chinese = ["zh", "zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans-SG", "zh-TW", "ZH-cn", "en;q=0.3,zh;q=0.7"];
  chinese.push("fr, zh;q=0.5, en;q=0.4");
  for (const header of chinese) expect([header, stringsFor(header).lang]).toEqual([header, "zh-CN"]);
});

describe("each language", () => {
  const [en, zh] = [stringsFor("en"), stringsFor("zh")];

  test("has the same texts with the same placeholders", () => {
    const gaps = (words: Readonly<Record<string, string>>) =>
      Object.fromEntries(Object.entries(words).map(([key, text]) => [key, text.match(/\{\w+\}/g)]));
    for (const part of ["page", "script", "errors"] as const) {
      expect(gaps(zh[part])).toEqual(gaps(en[part]));
      for (const text of [...Object.values(en[part]), ...Object.values(zh[part])]) expect(text).not.toBe("");
    }
  });

  test("has a text for every error code of the server", () => {
    const sources = [...["login", "post", "room", "routes", "shared"], ...["../http/router", "../http/body"]];
    const codes = sources.flatMap((file) => {
      const source = readFileSync(new URL(`../../src/chat/${file}.ts`, import.meta.url), "utf8");
      return [...source.matchAll(/(?:HttpError\(\s*\d+,|unavailable\()\s*"(\w+)"/g)].map(
        ([, code = ""]) => code,
      );
    });
    expect(new Set(codes).size).toBeGreaterThan(8);
    for (const code of codes) expect(en.errors).toHaveProperty(code);
  });
});
