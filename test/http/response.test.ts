/** Responses: values that are sent once. */
import { once } from "node:events";
import { expect, test } from "vitest";
import { type HttpResponse, html, json, redirect, send } from "../../src/http/response.js";
import { ask, awaited, dial, listen } from "./listen.js";

/** Sends a response, and another one, which must not be sent. */
const sent = async (response: HttpResponse, method = "GET") => {
  const { port } = await listen(
    (_req, res) => {
      send(res, response);
      send(res, { status: 500, body: "second" });
    },
    { rejectNonStandardBodyWrites: true },
  );
  return ask(port, "/", { method });
};

test.each<[string | Buffer, string]>([
  ["字😀", "字😀"],
  ["a\ud800b", "a\ufffdb"],
  ["字".repeat(5000), "字".repeat(5000)],
  [Buffer.from([0, 1, 13, 10, 0]), "\0\u0001\r\n\0"],
])("the body %.20j is sent as UTF-8 or bytes, with its length, and not for HEAD", async (body, expected) => {
  const { headers, body: received } = await sent({ status: 200, body });
  expect([`${received}`, headers["content-length"]]).toEqual([expected, `${Buffer.byteLength(expected)}`]);
  expect(headers).not.toHaveProperty("transfer-encoding");
  const head = await sent({ status: 200, body }, "HEAD");
  expect([head.body.length, head.headers["content-length"]]).toEqual([0, headers["content-length"]]);
});

test("204 and 304 have neither a body nor a length, and other empty responses have the length 0", async () => {
  for (const status of [204, 304]) {
    const { headers, body } = await sent({ status });
    expect([headers["content-length"], body.length]).toEqual([undefined, 0]);
  }
  const { status, headers } = await sent(redirect(308, "./%E5%AD%97/"));
  expect([status, headers.location, headers["content-length"]]).toEqual([308, "./%E5%AD%97/", "0"]);
});

test("a response to a client that is gone is not sent", async () => {
  const dropped = awaited<boolean>();
  const arrived = awaited();
  const { port } = await listen(async (_req, res) => {
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
  expect(json(503, {}, { "Cache-Control": "private" }).headers).toHaveProperty("Cache-Control", "private");
});
