/** Form encoding and JSON fields, read strictly. */
import { describe, expect, test } from "vitest";
import { parseForm, parseJsonFields } from "../../src/http/form.js";

/** By name, as they are found. */
function fields(text: string) {
  const form = parseForm(text);
  return Object.fromEntries([...(form ?? [])].map(([name]) => [name, form?.get(name)]));
}

describe("a form", () => {
  test("is pairs; plus is a blank, percent is a byte of UTF-8", () => {
    expect(fields("a=1&b=x+y%2Bz&c=%E5%AD%97&%26=%3D")).toEqual({ a: "1", b: "x y+z", c: "字", "&": "=" });
  });

  test("may leave out what it likes, and keeps what comes after the first =", () => {
    expect(fields("")).toEqual({});
    expect(fields("&&a=1&&b&c=&=d&e=f=g&")).toEqual({ a: "1", b: "", c: "", "": "d", e: "f=g" });
  });

  test("with one name twice has the first", () => {
    expect(fields("a=1&a=2&%61=3")).toEqual({ a: "1" });
  });

  test("of broken percent-encoding or broken UTF-8 is none at all", () => {
    const bad = [
      "%",
      "%2",
      "%zz",
      "%u0041",
      "%ff",
      "%c0%af",
      "%ed%a0%80",
      "%f8%88%80%80%80",
      "%e5%ad",
      "%E5=1",
    ];
    for (const text of bad) {
      expect(parseForm(`a=1&b=${text}`), text).toBeUndefined();
      expect(parseForm(`${text}=1`), text).toBeUndefined();
    }
  });

  test("carries names like __proto__, NULs and any line end as they are", () => {
    const form = parseForm("__proto__=x&constructor=y&nul=%00&lines=%0D%0A%0A");
    expect([...(form ?? [])]).toEqual([
      ["__proto__", "x"],
      ["constructor", "y"],
      ["nul", "\0"],
      ["lines", "\r\n\n"],
    ]);
    expect(parseForm("a=1")?.get("__proto__")).toBeUndefined();
  });

  test("of tens of thousands of fields is read", () => {
    expect(parseForm("a&".repeat(30_000))?.size).toBe(30_000);
    expect(parseForm(Array.from({ length: 10_000 }, (_, n) => `k${n}=${n}`).join("&"))?.size).toBe(10_000);
  });
});

describe("a JSON body", () => {
  test("is one object of texts", () => {
    expect([...(parseJsonFields(' {"message": "字 \\u0000", "key": ""} ') ?? [])]).toEqual([
      ["message", "字 \0"],
      ["key", ""],
    ]);
    expect(parseJsonFields("{}")?.size).toBe(0);
  });

  test("that is anything else is none at all", () => {
    const bad = [
      "",
      "null",
      "1",
      '"a"',
      "[]",
      '["a"]',
      "{",
      '{"a":1}',
      '{"a":null}',
      '{"a":{}}',
      '{"a":["b"]}',
    ];
    for (const text of [...bad, "{'a':'b'}", '{"a":"b"}x', "[".repeat(30_000), '{"a":"b","c":true}']) {
      expect(parseJsonFields(text), text.slice(0, 20)).toBeUndefined();
    }
  });

  test("may name a field __proto__ without touching any prototype", () => {
    const read = parseJsonFields('{"__proto__": "x", "toString": "y"}');
    expect([...(read ?? [])]).toEqual([
      ["__proto__", "x"],
      ["toString", "y"],
    ]);
    expect(parseJsonFields('{"__proto__": {"admin": "yes"}}')).toBeUndefined();
    expect(parseJsonFields("{}")?.get("toString")).toBeUndefined();
  });
});
