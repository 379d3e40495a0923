/** A request as handlers see it, over real sockets. */
import { expect, test } from "vitest";
import type { Request } from "../../src/http/request.js";
import { json } from "../../src/http/response.js";
import { ask, listenRequest } from "./listen.js";

/** Returns what `look` finds in one request. */
async function seen(look: (request: Request) => unknown, path = "/", headers = {}) {
  const port = await listenRequest((request) => json(200, { seen: look(request) }));
  return JSON.parse(`${(await ask(port, path, { headers: { Host: "chat.test", ...headers } })).body}`).seen;
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
  ["a=1;holdline= x ;b=2", ["x"]],
  ["holdline=first; holdline=second", ["first", "second"]],
  ["xholdline=1; holdlin=2; HOLDLINE=3; __proto__=4; =5;;;", []],
  ["holdlinex; holdline=mine", ["mine"]],
  ["", []],
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
