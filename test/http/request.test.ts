/** What a handler sees of a request, over real sockets. */
import { describe, expect, test } from "vitest";
import type { Request } from "../../src/http/request.js";
import { json } from "../../src/http/response.js";
import { type Ask, ask, listenRequest } from "./listen.js";

/** What `look` sees of one request. */
async function seen(look: (request: Request) => unknown, path = "/", asked: Ask = {}, trustProxy = false) {
  const port = await listenRequest((request) => json(200, { seen: look(request) ?? null }), { trustProxy });
  const { body } = await ask(port, path, asked);
  return JSON.parse(`${body}`).seen;
}

describe("the target", () => {
  test("is a path and a query, split at the first question mark", async () => {
    const parts = (request: Request) => [request.path, [...(request.query() ?? [])]];
    expect(await seen(parts, "/a/b?c=d?e&f=%2F")).toEqual([
      "/a/b",
      [
        ["c", "d?e"],
        ["f", "/"],
      ],
    ]);
    expect(await seen(parts, "/a?")).toEqual(["/a", []]);
  });

  test("keeps its percent-encoding, and is not tidied up", async () => {
    for (const path of ["/a/../b", "/a%2fb", "//a", "/./", "/%"]) {
      expect(await seen(({ path }) => path, path)).toBe(path);
    }
  });

  test("may be absolute, as for a proxy", async () => {
    expect(await seen(({ path }) => path, "http://example.test/a?b=c")).toBe("/a");
    expect(await seen(({ path }) => path, "HTTPS://example.test?b=c")).toBe("/");
    expect(await seen((request) => request.query()?.get("b"), "http://example.test?b=c")).toBe("c");
  });

  test("with a malformed query says so", async () => {
    expect(await seen((request) => request.query() === undefined, "/?a=%")).toBe(true);
  });
});

describe("a cookie", () => {
  const cookie = (header: string) =>
    seen((request) => request.cookies("holdline"), "/", { headers: { Host: "a", Cookie: header } });

  test("is found among others, blanks or not, and keeps what comes after the first =", async () => {
    expect(await cookie("a=1; holdline=x=y; b=2")).toEqual(["x=y"]);
    expect(await cookie("a=1;holdline= x ;b=2")).toEqual(["x"]);
  });

  test("has the port of the host in its name", async () => {
    const headers = { Host: "a:81", Cookie: "holdline=1; holdline_81=2; holdline_80=3" };
    expect(await seen((request) => request.cookies("holdline"), "/", { headers })).toEqual(["2"]);
  });

  test("of several with one name comes in their order", async () => {
    expect(await cookie("holdline=first; holdline=second")).toEqual(["first", "second"]);
  });

  test("of a longer, a shorter or no name is not taken for it", async () => {
    expect(await cookie("xholdline=1; holdlin=2; HOLDLINE=3; __proto__=4; =5;;;")).toEqual([]);
    expect(await seen((request) => request.cookies("holdline"))).toEqual([]);
  });

  test("without = is not taken for it, and does not stand before it", async () => {
    expect(await cookie("holdlinex")).toEqual([]);
    expect(await cookie("holdlinex; holdline=mine")).toEqual(["mine"]);
  });
});

describe("a caller prefers HTML", () => {
  const html = (accept: string) =>
    seen((request) => request.prefersHtml(), "/", { headers: { Accept: accept } });

  test("when it says so, as browsers that navigate do", async () => {
    expect(await html("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")).toBe(true);
    expect(await html("TEXT/HTML")).toBe(true);
    expect(await html("application/json;q=0.5, text/*")).toBe(true);
  });

  test("but not when it takes anything, as curl and scripts do, or likes JSON as much", async () => {
    for (const accept of [
      "*/*",
      "application/json, text/javascript, */*; q=0.01",
      "text/html, application/json",
    ]) {
      expect(await html(accept), accept).toBe(false);
    }
    expect(await seen((request) => request.prefersHtml())).toBe(false);
  });

  test("nor when it says that it does not want any", async () => {
    for (const accept of [
      "text/html;q=0",
      "text/html;q=0, */*",
      "text/html; q=0.1, */*; q=0.2",
      "text/html;q=x",
      "",
    ]) {
      expect(await html(accept), accept).toBe(false);
    }
  });
});

describe("a request comes from another site", () => {
  const foreign = (headers: Record<string, string>, trustProxy = false) =>
    seen((request) => request.isForeign(), "/", { headers: { Host: "chat.test", ...headers } }, trustProxy);

  test("when the browser says so", async () => {
    expect(await foreign({ "Sec-Fetch-Site": "cross-site" })).toBe(true);
    expect(await foreign({ "Sec-Fetch-Site": "same-site" })).toBe(true);
    expect(await foreign({ "Sec-Fetch-Site": "cross-site", Origin: "http://chat.test" })).toBe(true);
    expect(await foreign({ "Sec-Fetch-Site": "same-origin" })).toBe(false);
    expect(await foreign({ "Sec-Fetch-Site": "none" })).toBe(false);
  });

  test("when an older browser's Origin is not our host", async () => {
    for (const origin of [
      "http://evil.test",
      "null",
      "http://chat.test:81",
      "http://chat.test.evil.test",
      "file://",
    ]) {
      expect(await foreign({ Origin: origin }), origin).toBe(true);
    }
    expect(await foreign({ Origin: "https://chat.test" })).toBe(false);
  });

  test("but not when there is no browser", async () => {
    expect(await foreign({})).toBe(false);
  });

  test("behind a trusted proxy our host is the one the browser asked for; from strangers that is not believed", async () => {
    const headers = { Origin: "https://public.test", "X-Forwarded-Host": "public.test" };
    expect(await foreign(headers, true)).toBe(false);
    expect(await foreign(headers, false)).toBe(true);
  });
});

describe("behind a proxy", () => {
  const headers = { "X-Forwarded-For": "6.6.6.6, 10.0.0.1", "X-Forwarded-Proto": "http, https" };
  const caller = (request: Request) => [request.address, request.isSecure];

  test("that is trusted, the last hop is believed, since what came before may be made up", async () => {
    expect(await seen(caller, "/", { headers }, true)).toEqual(["10.0.0.1", true]);
  });

  test("that is not, nothing is", async () => {
    expect(await seen(caller, "/", { headers })).toEqual(["127.0.0.1", false]);
  });
});
