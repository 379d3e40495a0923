/** What callers send: targets, cookies, forms, JSON bodies and preferences. */
import { expect, test } from "vitest";
import { sign, unsign } from "../../src/http/cookie.js";
import { parseForm, parseJson } from "../../src/http/form.js";
import { Request } from "../../src/http/request.js";
import { ask, listen } from "./listen.js";

/** Returns what `look` finds in one request. */
async function seen(look: (request: Request) => unknown, target = "/", headers = {}) {
  const { port } = await listen((req, res) => {
    const request = new Request(req, res, { bodyLimit: 1000, trustProxy: false });
    res.end(JSON.stringify(look(request)));
  });
  return JSON.parse((await ask(port, target, { headers: { Host: "chat.test", ...headers } })).body);
}

test.each<readonly [string, string, Record<string, string>]>([
  ["/a/b?c=d?e&f=%2F", "/a/b", { c: "d?e", f: "/" }],
  ["/a?", "/a", {}],
  ["http://example.test/a?b=c", "/a", { b: "c" }],
  ["HTTPS://example.test?b=c", "/", { b: "c" }],
  ["http://example.test", "/", {}],
  ...["/a/../b", "/a%2fb", "//a", "/./", "/%", "*"].map((path) => [path, path, {}] as const),
])("the target %s is split into the path %s and the query %j", async (target, path, query) => {
  const look = (request: Request) => [request.path, Object.fromEntries(request.query())];
  expect(await seen(look, target)).toEqual([path, query]);
});

test.each([
  ["a=1; holdline=x=y; b=2", ["x=y"]],
  ["a=1;holdline= x ;holdline=second", ["x", "second"]],
  ["xholdline=1; holdlin=2; HOLDLINE=3; __proto__=4; =5;;;", []],
  ["holdlinex; holdline=mine", ["mine"]],
])("the cookies %j have the values %j", async (Cookie, values) => {
  expect(await seen((request) => request.cookies("holdline"), "/", { Cookie })).toEqual(values);
});

test.each([
  ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true],
  ["TEXT/HTML", true],
  ["application/json;q=0.5, text/*", true],
  ["*/*", false],
  ["application/json, text/javascript, */*; q=0.01", false],
  ["text/html, application/json", false],
  ["text/html;q=0, */*", false],
  ["text/html; q=0.1, */*; q=0.2", false],
  ["text/html;q=x", false],
  ["", false],
  [`${"a/b,".repeat(300)}text/html`, false],
])("a caller with Accept %.60s prefers HTML: %s", async (Accept, expected) => {
  expect(await seen((request) => request.prefersHtml(), "/", { Accept })).toBe(expected);
});

test("a signed text is read back with its secret or an earlier one, and has only characters of a cookie", () => {
  for (const text of ['["Zoë; Path=/","\0",1]', "", "x".repeat(3000), "字😀", "a.b.c"]) {
    const signed = sign(text, "earlier");
    expect(signed).toMatch(/^[\w-]*\.[\w-]+$/);
    expect(unsign(signed, ["secret", Buffer.from("earlier")])).toBe(text);
    expect(unsign(signed, ["secret"])).toBeUndefined();
  }
});

test("a signed text that is changed, truncated or lengthened is not accepted", () => {
  const signed = sign("ann of the chat", "secret");
  const forged = ["", ".", "..", "\0", "字.字", "%2E", `${signed}AAAA`, `${signed}.`, ".".repeat(5000)];
  // The last character has two spare bits, and base64url decoders ignore them.
  for (let at = 0; at < signed.length; at++) {
    const other = signed[at] === "A" ? "B" : "A";
    if (at < signed.length - 1) forged.push(signed.slice(0, at) + other + signed.slice(at + 1));
    forged.push(signed.slice(0, at), signed.slice(at + 1));
  }
  expect(forged.filter((one) => unsign(one, ["secret"]) !== undefined)).toEqual([]);
});

test.each([
  ["a=1&b=x+y%2Bz&c=%E5%AD%97&%26=%3D", { a: "1", b: "x y+z", c: "字", "&": "=" }],
  ["&&a=1&&b&c=&=d&e=f=g&", { a: "1", b: "", c: "", "": "d", e: "f=g" }],
  ["a=1&a=2&%61=3", { a: "1" }],
  ["constructor=y&nul=%00&lines=%0D%0A%0A", { constructor: "y", nul: "\0", lines: "\r\n\n" }],
  [`a=${"x+".repeat(1000)}&b=1`, { a: "x ".repeat(1000), b: "1" }],
])("the form %.40j has the fields %.60j", (text, fields) => {
  expect(Object.fromEntries(parseForm(text))).toEqual(fields);
});

const BAD = expect.objectContaining({ status: 400, code: "bad_request" });
test.each(["%", "%2", "%zz", "%u0041", "%ff", "%c0%af", "%ed%a0%80", "%f8%88%80%80%80", "%e5%ad", "%E5=1"])(
  "a form with %j is a 400, in a name or a value",
  (text) => {
    expect(() => parseForm(`a=1&b=${text}`)).toThrow(BAD);
    expect(() => parseForm(`${text}=1`)).toThrow(BAD);
  },
);

test("a JSON body is one object of texts, and of numbers where they are permitted", () => {
  const fields = parseJson(' {"message": "字 \\u0000", "key": "", "__proto__": "x", "wait":1.5} ', ["wait"]);
  expect([...fields]).toEqual([
    ...[["message", "字 \0"] as const, ["key", ""] as const, ["__proto__", "x"] as const],
    ["wait", "1.5"],
  ]);
});

test.each([
  ...["", "null", "1", '"a"', "[]", '["a"]', "{", '{"a":1}', '{"a":null}', '{"a":{}}', '{"a":["b"]}'],
  ...["{'a':'b'}", '{"a":"b"}x', "[".repeat(30_000), '{"a":"b","c":true}', '{"__proto__": {"admin": "yes"}}'],
])("a JSON body of %.20j is a 400", (text) => {
  expect(() => parseJson(text, ["wait"])).toThrow(BAD);
});
