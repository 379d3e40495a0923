/** Replies: values that are sent once. */
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { type HttpResponse, html, json, redirect, send } from "../../src/http/response.js";
import { ask, awaited, dial, listen, listenRequest, raw } from "./listen.js";

const sent = async (reply: HttpResponse, method = "GET") =>
  ask(await listenRequest(() => reply), "/", { method });

test("text goes out as UTF-8 with its length in bytes, not in chunks", async () => {
  const { status, headers, body } = await sent({ status: 200, body: "字😀" });
  expect([status, `${body}`, headers["content-length"]]).toEqual([200, "字😀", "7"]);
  expect(headers).not.toHaveProperty("transfer-encoding");
});

test("bytes go out as they are", async () => {
  const body = Buffer.from([0, 255, 13, 10, 0]);
  expect((await sent({ status: 200, body })).body).toEqual(body);
});

test("half a character in a text becomes a replacement, and the length is that of what is sent", async () => {
  const { headers, body } = await sent({ status: 200, body: "a\ud800b" });
  expect([`${body}`, headers["content-length"]]).toEqual(["a\ufffdb", "5"]);
});

test("204 and 304 have neither a body nor a length; other replies without a body have the length 0", async () => {
  for (const status of [204, 304]) {
    const { headers, body } = await sent({ status });
    expect([headers["content-length"], body.length]).toEqual([undefined, 0]);
  }
  expect((await sent(redirect(303, "login"))).headers["content-length"]).toBe("0");
});

test("HEAD gets the head of GET, length and all, and no body", async () => {
  const port = await listenRequest(() => ({ status: 200, body: "a body" }));
  const head = await raw(port, "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  expect(head).toMatch(/\r\nContent-Length: 6\r\n/i);
  expect(head.endsWith("\r\n\r\n")).toBe(true);
});

test("a second reply to one request changes nothing and breaks nothing", async () => {
  const port = await listen((_req, res) => {
    send(res, { status: 200, body: "first" });
    send(res, { status: 500, body: "second" });
  });
  const answer = await raw(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  expect(answer).toMatch(/^HTTP\/1.1 200 .*first$/s);
});

test("a reply to somebody who has gone is dropped without a word", async () => {
  const dropped = awaited<boolean>();
  const arrived = awaited();
  const port = await listen(async (_req, res) => {
    arrived.resolve();
    await once(res, "close");
    send(res, { status: 200, body: "too late" });
    dropped.resolve(res.headersSent);
  });
  const socket = await dial(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await arrived.promise;
  socket.destroy();
  expect(await dropped.promise).toBe(false);
});

describe("what every reply of a kind has", () => {
  test("JSON and pages are not stored, and a header given by hand wins", () => {
    for (const { headers } of [json(200, {}), html(200, "")]) {
      expect(headers).toMatchObject({ "Cache-Control": "no-store" });
    }
    expect(json(503, {}, { "Retry-After": "5" }).headers).toHaveProperty("Retry-After", "5");
    expect(json(200, {}, { "Cache-Control": "private" }).headers).toHaveProperty("Cache-Control", "private");
  });

  test("a page may run no script but ours and be framed by nobody", () => {
    const policy = html(200, "").headers?.["Content-Security-Policy"];
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain("unsafe");
  });

  test("a redirect keeps its target relative", async () => {
    const { status, headers } = await sent(redirect(308, "./%E5%AD%97/"));
    expect([status, headers.location, headers["cache-control"]]).toEqual([308, "./%E5%AD%97/", "no-store"]);
  });
});
