/** Form encoding and JSON fields, parsed strictly. */
import { expect, test } from "vitest";
import { parseForm, parseJson } from "../../src/http/form.js";

const BAD = expect.objectContaining({ status: 400, code: "bad_request" });

test("a form is pairs: a plus is a space, and a percent sign begins a byte of UTF-8", () => {
  const { pairs } = parseForm("a=1&b=x+y%2Bz&c=%E5%AD%97&%26=%3D");
  expect(Object.fromEntries(pairs)).toEqual({ a: "1", b: "x y+z", c: "字", "&": "=" });
});

test("a form may have empty pairs, names and values", () => {
  expect(parseForm("").pairs).toEqual([]);
  expect(Object.fromEntries(parseForm("&&a=1&&b&c=&=d&e=f=g&").pairs)).toEqual({
    a: "1",
    b: "",
    c: "",
    "": "d",
    e: "f=g",
  });
});

test("the first of several fields with one name counts", () => {
  expect(parseForm("a=1&a=2&%61=3").get("a")).toBe("1");
  expect(parseForm("a=1").and(parseForm("a=2&b=3")).get("a")).toBe("1");
  expect(parseForm("a=1").and(parseForm("a=2&b=3")).get("b")).toBe("3");
});

test.each(["%", "%2", "%zz", "%u0041", "%ff", "%c0%af", "%ed%a0%80", "%f8%88%80%80%80", "%e5%ad", "%E5=1"])(
  "a form with %j is a 400, in a name or a value",
  (text) => {
    expect(() => parseForm(`a=1&b=${text}`)).toThrow(BAD);
    expect(() => parseForm(`${text}=1`)).toThrow(BAD);
  },
);

test("a form returns __proto__, NUL and line ends unchanged", () => {
  expect(parseForm("__proto__=x&constructor=y&nul=%00&lines=%0D%0A%0A").pairs).toEqual([
    ["__proto__", "x"],
    ["constructor", "y"],
    ["nul", "\0"],
    ["lines", "\r\n\n"],
  ]);
  expect(parseForm("a=1").get("__proto__")).toBeUndefined();
});

test("a form of 30,000 fields is parsed", () => {
  expect(parseForm("a&".repeat(30_000)).pairs).toHaveLength(30_000);
});

test("a JSON body is one object of texts, and of numbers where they are permitted", () => {
  expect(parseJson(' {"message": "字 \\u0000", "key": "", "__proto__": "x"} ', []).pairs).toEqual([
    ["message", "字 \0"],
    ["key", ""],
    ["__proto__", "x"],
  ]);
  expect(parseJson("{}", []).get("toString")).toBeUndefined();
  expect(parseJson('{"wait":1.5}', ["wait"]).get("wait")).toBe("1.5");
});

test.each([
  ...["", "null", "1", '"a"', "[]", '["a"]', "{", '{"a":1}', '{"a":null}', '{"a":{}}', '{"a":["b"]}'],
  ...["{'a':'b'}", '{"a":"b"}x', "[".repeat(30_000), '{"a":"b","c":true}', '{"__proto__": {"admin": "yes"}}'],
])("a JSON body of %.20j is a 400", (text) => {
  expect(() => parseJson(text, ["wait"])).toThrow(BAD);
});
