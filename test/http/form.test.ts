/** Form encoding and JSON fields, parsed strictly. */
import { expect, test } from "vitest";
import { parseForm, parseJson } from "../../src/http/form.js";

const BAD = expect.objectContaining({ status: 400, code: "bad_request" });

test.each([
  ["a=1&b=x+y%2Bz&c=%E5%AD%97&%26=%3D", { a: "1", b: "x y+z", c: "字", "&": "=" }],
  ["", {}],
  ["&&a=1&&b&c=&=d&e=f=g&", { a: "1", b: "", c: "", "": "d", e: "f=g" }],
  ["a=1&a=2&%61=3", { a: "1" }],
  ["constructor=y&nul=%00&lines=%0D%0A%0A", { constructor: "y", nul: "\0", lines: "\r\n\n" }],
  [`a=${"x+".repeat(1000)}&b=1`, { a: "x ".repeat(1000), b: "1" }],
])("the form %.40j has the fields %.60j", (text, fields) => {
  expect(Object.fromEntries(parseForm(text))).toEqual(fields);
});

test.each(["%", "%2", "%zz", "%u0041", "%ff", "%c0%af", "%ed%a0%80", "%f8%88%80%80%80", "%e5%ad", "%E5=1"])(
  "a form with %j is a 400, in a name or a value",
  (text) => {
    expect(() => parseForm(`a=1&b=${text}`)).toThrow(BAD);
    expect(() => parseForm(`${text}=1`)).toThrow(BAD);
  },
);

test("a form of 30,000 fields is parsed", () => {
  expect(parseForm(Array.from({ length: 30_000 }, (_, n) => n).join("&")).size).toBe(30_000);
});

test("a JSON body is one object of texts, and of numbers where they are permitted", () => {
  expect([...parseJson(' {"message": "字 \\u0000", "key": "", "__proto__": "x"} ', [])]).toEqual([
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
