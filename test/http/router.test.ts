/** Routes, targets and preferences of callers over real sockets; every request ends exactly once. */
import { expect, test } from "vitest";
import { HttpError } from "../../src/http/response.js";
import { type Handler, Router } from "../../src/http/router.js";
import { start } from "../wire/chat.js";
import { ask } from "../wire/person.js";
import { get, hear } from "../wire/raw.js";

test("a target, which may be an absolute URL, leads to a handler by its path as it is, or to a 400 or 404", async () => {
  const { port } = await start();
  const names = ["__proto__", "constructor", "*", "..", "\0", "a+b", "😀", "a/b? %"].map(encodeURIComponent);
  const malformed = ["%", "%zz", "%ff", "%c0%af", "%ed%a0%80"].map((name) => `/chatroom/${name}`);
  const unknown = ["/nothing", "//", "/chatroom", "/chatroom/", "/chatroom//", "/who/", "//who", "/x/../who"];
  unknown.push("*", "/./who", "/x%2fwho", "/chatroom/ann/x", "/chatroom%2Fann", "/%zz", "/a".repeat(3_000));
  for (const [target, status, location = ""] of [
    ["/who?c=d?e", 200],
    ["http://example.test/who?b=c", 200],
    ["HTTPS://example.test?b=c", 303, "login"],
    ["http://example.test", 303, "login"],
    ...names.map((name) => [`/chatroom/${name}`, 308, `./${name}/`] as const),
    ...malformed.map((path) => [path, 400] as const),
    ...unknown.map((path) => [path, 404] as const),
  ] as const) {
    const { statuses, text } = await hear(port, get(target, "Connection: close"));
    const [, to = ""] = /\r\nLocation: (\S*)/.exec(text) ?? [];
    expect([target, statuses, to]).toEqual([target, [status], location]);
  }
});

const boom = () => {
  throw new Error("secret detail");
};
const badHeader = { status: 200, headers: { Location: "a\r\nSet-Cookie: b" } };
const refuse = () => {
  throw new HttpError(429, "slow_down", "Slow down.");
};
const begin: Handler = ({ res }) => {
  res.writeHead(200, { "Content-Length": 100 }).write("begun");
  return boom();
};
test.each<[string, Handler, status: number | undefined]>([
  ["throws an error", boom, 500],
  ["rejects with null", () => Promise.reject(null), 500],
  ["returns a header that cannot be sent", () => badHeader, 500],
  ["throws an HttpError that cannot be made a response", refuse, 500],
  ["throws after the head of its reply", begin, undefined],
])(
  "a handler that %s gets a 500 without details or a closed connection, and onError the error",
  async (...row) => {
    const [, handler, status] = row;
    const failures: unknown[] = [];
    const router = new Router({
      ...{ bodyLimit: 1000, trustProxy: false, closing: () => false, toResponse: boom },
      onError: (error) => failures.push(error),
    });
    router.on("GET", "/", handler);
    const { url } = await start({ wrap: () => (req, res) => router.handle(req, res) });
    const reply = await ask(url).catch(() => undefined);
    expect([reply?.status, failures.length]).toEqual([status, 1]);
    expect(`${reply?.body}`).not.toContain("secret");
  },
);

test("a caller gets an error as a page if it prefers HTML to JSON", async () => {
  const { url } = await start();
  for (const [Accept, isPage] of [
    ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true],
    ["TEXT/HTML", true],
    ["text/html;q=0.5, application/json;q=0.4", true],
    ["text/html, text/*;q=0.5, image/*, application/*, audio/*", true],
    ["*/*", false],
    ["application/json, text/javascript, */*; q=0.01", false],
    ["text/html, application/json", false],
    ["text/html;q=0, */*", false],
    ["text/html; q=0.1, application/json; q=0.2", false],
    ["text/html;q=x", false],
    ["", false],
    [`${"a/b,".repeat(300)}text/html`, false],
  ] as const) {
    const { headers } = await ask(`${url}/nothing`, { headers: { Accept } });
    expect([Accept, /html/.test(`${headers["content-type"]}`)]).toEqual([Accept, isPage]);
  }
});
