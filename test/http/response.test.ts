/** Responses: values that are sent once. */
import { once } from "node:events";
import { expect, test } from "vitest";
import { type HttpResponse, html, json, redirect, send } from "../../src/http/response.js";
import { ask, awaited, dial, listen, listenRequest, raw } from "./listen.js";

const sent = async (response: HttpResponse) => ask(await listenRequest(() => response), "/");

test.each<[string | Buffer, string]>([
  ["字😀", "字😀"],
  ["a\ud800b", "a\ufffdb"],
  [Buffer.from([0, 1, 13, 10, 0]), "\0\u0001\r\n\0"],
])("the body %j is sent as UTF-8 or bytes, with its length", async (body, expected) => {
  const { headers, body: received } = await sent({ status: 200, body });
  expect([`${received}`, headers["content-length"]]).toEqual([expected, `${Buffer.byteLength(expected)}`]);
  expect(headers).not.toHaveProperty("transfer-encoding");
});

test("204 and 304 have neither a body nor a length, and other empty responses have the length 0", async () => {
  for (const status of [204, 304]) {
    const { headers, body } = await sent({ status });
    expect([headers["content-length"], body.length]).toEqual([undefined, 0]);
  }
  const { status, headers } = await sent(redirect(308, "./%E5%AD%97/"));
  expect([status, headers.location, headers["content-length"]]).toEqual([308, "./%E5%AD%97/", "0"]);
});

test("HEAD gets the head of GET, with the length, and no body", async () => {
  const port = await listenRequest(() => ({ status: 200, body: "a body" }));
  const head = await raw(port, "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  expect(head).toMatch(/\r\nContent-Length: 6\r\n/i);
  expect(head.endsWith("\r\n\r\n")).toBe(true);
});

test("a second response to one request is not sent", async () => {
  const port = await listen((_req, res) => {
    send(res, { status: 200, body: "first" });
    send(res, { status: 500, body: "second" });
  });
  const reply = await raw(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  expect(reply).toMatch(/^HTTP\/1.1 200 .*first$/s);
});

test("a response to a client that is gone is not sent", async () => {
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

test("dynamic responses are not stored, and a given header replaces the default", () => {
  for (const { headers } of [json(200, {}), html(200, ""), redirect(303, "login")]) {
    expect(headers).toMatchObject({ "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" });
  }
  expect(json(503, {}, { "Retry-After": "5" }).headers).toHaveProperty("Retry-After", "5");
  expect(json(200, {}, { "Cache-Control": "private" }).headers).toHaveProperty("Cache-Control", "private");
});

test("a page runs no foreign script and is in no frame", () => {
  const policy = html(200, "").headers?.["Content-Security-Policy"];
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toContain("unsafe");
});
