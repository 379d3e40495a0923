/** A request as handlers see it, over real sockets. */
import { expect, test } from "vitest";
import type { Request } from "../../src/http/request.js";
import { json } from "../../src/http/response.js";
import { ask, listenRequest } from "./listen.js";

/** Returns what `look` finds in one request. */
async function seen(look: (request: Request) => unknown, path = "/", headers = {}, trustProxy = false) {
  const port = await listenRequest((request) => json(200, { seen: look(request) ?? null }), { trustProxy });
  return JSON.parse(`${(await ask(port, path, { headers: { Host: "chat.test", ...headers } })).body}`).seen;
}

test.each<readonly [string, string, string]>([
  ["/a/b?c=d?e&f=%2F", "/a/b", "c=d?e,f=/"],
  ["/a?", "/a", ""],
  ["http://example.test/a?b=c", "/a", "b=c"],
  ["HTTPS://example.test?b=c", "/", "b=c"],
  ["http://example.test", "/", ""],
  ...["/a/../b", "/a%2fb", "//a", "/./", "/%", "*"].map((path) => [path, path, ""] as const),
])("the target %s is split into the path %s and the query %s", async (target, path, query) => {
  const fields = (request: Request) =>
    request
      .query()
      .pairs.map(([name, value]) => `${name}=${value}`)
      .join();
  expect(await seen((request) => [request.path, fields(request)], target)).toEqual([path, query]);
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

test("the name of a cookie contains the port of the host", async () => {
  const headers = { Host: "a:81", Cookie: "holdline=1; holdline_81=2; holdline_80=3" };
  expect(await seen((request) => request.cookies("holdline"), "/", headers)).toEqual(["2"]);
});

test.each([
  ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true],
  ["TEXT/HTML", true],
  ["application/json;q=0.5, text/*", true],
  ["*/*", false],
  ["application/json, text/javascript, */*; q=0.01", false],
  ["text/html, application/json", false],
  ["text/html;q=0", false],
  ["text/html;q=0, */*", false],
  ["text/html; q=0.1, */*; q=0.2", false],
  ["text/html;q=x", false],
  ["", false],
  [`${"a/b,".repeat(100)}text/html`, true],
  [`${"a/b,".repeat(300)}text/html`, false],
])("a caller with Accept %.60s prefers HTML: %s", async (Accept, expected) => {
  expect(await seen((request) => request.prefersHtml(), "/", { Accept })).toBe(expected);
});

test.each<readonly [Record<string, string>, boolean]>([
  [{}, false],
  [{ "Sec-Fetch-Site": "cross-site" }, true],
  [{ "Sec-Fetch-Site": "same-site" }, true],
  [{ "Sec-Fetch-Site": "cross-site", Origin: "http://chat.test" }, true],
  [{ "Sec-Fetch-Site": "same-origin" }, false],
  [{ "Sec-Fetch-Site": "none" }, false],
  ...["http://evil.test", "null", "http://chat.test:81", "http://chat.test.evil.test", "file://"].map(
    (Origin) => [{ Origin }, true] as const,
  ),
  [{ Origin: "https://chat.test" }, false],
  [{ Origin: "http://chat.test", Host: "chat.test:80" }, false],
])("a request with %j comes from another site: %s", async (headers, expected) => {
  expect(await seen((request) => request.isForeign(), "/", headers)).toBe(expected);
});

test("the last hop of X-Forwarded-* is used behind a trusted proxy, and nothing of it otherwise", async () => {
  const look = (request: Request) => [request.address, request.isSecure, request.isForeign()];
  const headers = {
    Origin: "https://public.test",
    "X-Forwarded-For": "6.6.6.6, 10.0.0.1",
    "X-Forwarded-Proto": "http, https",
    "X-Forwarded-Host": "public.test",
  };
  expect(await seen(look, "/", headers, true)).toEqual(["10.0.0.1", true, false]);
  expect(await seen(look, "/", headers)).toEqual(["127.0.0.1", false, true]);
});
