/**
 * Requests that two servers in a row can parse differently, so that a body becomes a request. Each gets 400, and the
 * connection closes. Node's parser does most of this (seen on 20.20). These tests notice a change in Node.
 */
import { beforeEach, expect, test } from "vitest";
import { start } from "./chat.js";
import { ask } from "./person.js";
import { hear } from "./raw.js";

let url: string;
let port: number;
let seen: string[];
beforeEach(async () => {
  const running = await start({ serve: {} });
  ({ url, port } = running);
  seen = [];
  running.server.prependListener("request", (req) => seen.push(`${req.url}`));
});

/** A request that must never be executed. It is in a body or behind it. */
const HIDDEN = "GET /hidden HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const login = (headers: string, body: string) =>
  `POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n${headers}\r\n\r\n${body}`;
const chunked = (body: string) => login("Transfer-Encoding: chunked", body + HIDDEN);
const who = (head: string) => `${head}\r\n\r\n${HIDDEN}`;

async function refused(bytes: string, status = 400): Promise<void> {
  expect((await hear(port, bytes)).statuses).toEqual([status]);
  expect(seen).not.toContain("/hidden");
  expect((await ask(`${url}/who`)).body).toBe('{"count":0,"users":[]}\n');
}

test.each([
  ["both lengths", "Content-Length: 5\r\nTransfer-Encoding: chunked"],
  ["two lengths", "Content-Length: 5\r\nContent-Length: 6"],
  ["one length twice", "Content-Length: 5\r\nContent-Length: 5"],
  ["a list of lengths", "Content-Length: 5, 5"],
  ["a signed length", "Content-Length: +5"],
  ["a length in hex", "Content-Length: 0x5"],
  ["an empty length", "Content-Length:"],
  ["a length beyond all numbers", "Content-Length: 99999999999999999999999"],
  ["a space before the colon", "Content-Length : 5"],
  ["a space before the other colon", "Transfer-Encoding : chunked"],
  ["a coding that is not chunked", "Transfer-Encoding: identity"],
  ["a coding in quotes", 'Transfer-Encoding: "chunked"'],
  ["a coding behind a vertical tab", "Transfer-Encoding: \x0bchunked"],
  ["chunked not as the last coding", "Transfer-Encoding: chunked, gzip"],
  ["chunked twice", "Transfer-Encoding: chunked, chunked"],
  ["a folded coding", "Transfer-Encoding:\r\n chunked"],
  ["a folded length", "Content-Length:\r\n 5"],
  ["a length behind a bare CR", "X: y\rContent-Length: 5"],
  ["a length behind a bare LF", "X: y\nContent-Length: 5"],
])("a request with %s is refused", async (_, headers) => {
  await refused(login(headers, `5\r\nname=\r\n0\r\n\r\n${HIDDEN}`));
});

test.each([
  ["no number", "zz\r\nname=a\r\n0\r\n\r\n"],
  ["a prefix", "0x6\r\nname=a\r\n0\r\n\r\n"],
  ["a sign", "+6\r\nname=a\r\n0\r\n\r\n"],
  ["a space in front", " 6\r\nname=a\r\n0\r\n\r\n"],
  ["a space behind", "6 \r\nname=a\r\n0\r\n\r\n"],
  ["a size beyond all numbers", "fffffffffffffffff\r\nname=a\r\n0\r\n\r\n"],
  ["a size that wraps to 6", "10000000000000006\r\nname=a\r\n0\r\n\r\n"],
  ["no size", "\r\nname=a\r\n0\r\n\r\n"],
  ["bare line feeds", "6\nname=a\n0\n\n"],
  ["a bare LF after the bytes", "6\r\nname=a\n0\r\n\r\n"],
  ["a bare CR after the size", "6\rname=a\r\n0\r\n\r\n"],
  ["more bytes than the size", "6\r\nname=aaaa\r\n0\r\n\r\n"],
  ["nothing between the bytes and the next size", "6\r\nname=a0\r\n\r\n"],
  ["a bare LF in an extension", "6;a\nb\r\nname=a\r\n0\r\n\r\n"],
  ["NUL in an extension", "6;a\0b\r\nname=a\r\n0\r\n\r\n"],
  ["a length in the trailer", "6\r\nname=a\r\n0\r\nContent-Length: 9\r\n\r\n"],
  ["a coding in the trailer", "6\r\nname=a\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"],
  ["a folded trailer", "6\r\nname=a\r\n0\r\nX: y\r\n z\r\n\r\n"],
  ["a space before a trailer's colon", "6\r\nname=a\r\n0\r\nX : y\r\n\r\n"],
])("a chunked body with %s is refused", async (_, body) => {
  await refused(chunked(body));
});

test("extensions and trailers of chunks are ignored within bounds", async () => {
  const body = '5;a="b;c"\r\nname=\r\n0\r\nX: y\r\n\r\n';
  const fine = await hear(port, login("Transfer-Encoding: chunked\r\nConnection: close", body));
  expect(fine.statuses).toEqual([422]);
  await refused(chunked(`6;${"a".repeat(20_000)}\r\nname=a\r\n0\r\n\r\n`));
  await refused(chunked(`6\r\nname=a\r\n0\r\nX: ${"a".repeat(20_000)}\r\n\r\n`), 431);
});

test("a request behind a malformed chunked body that nobody reads is not executed", async () => {
  const head = "POST /logout HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked";
  expect((await hear(port, `${head}\r\n\r\nzz\r\n\r\n${HIDDEN}`)).statuses).toHaveLength(1);
  expect(seen).toEqual(["/logout"]);
});

test.each([
  ["NUL in a value", "GET /who HTTP/1.1\r\nHost: x\r\nX: a\0b"],
  ["NUL in the target", "GET /who\0 HTTP/1.1\r\nHost: x"],
  ["a bare CR in a value", "GET /who HTTP/1.1\r\nHost: x\r\nX: a\rb"],
  ["a bare CR in the target", "GET /who\rx HTTP/1.1\r\nHost: x"],
  ["bare LF after the request line", "GET /who HTTP/1.1\nHost: x"],
  ["bare LF everywhere", "GET /who HTTP/1.1\nHost: x\n\n"],
  ["a folded header", "GET /who HTTP/1.1\r\nHost: x\r\nX: a\r\n b"],
  ["a folded first header", "GET /who HTTP/1.1\r\n Host: x"],
  ["a space before the colon", "GET /who HTTP/1.1\r\nHost : x"],
  ["no name", "GET /who HTTP/1.1\r\nHost: x\r\n: a"],
  ["no colon", "GET /who HTTP/1.1\r\nHost: x\r\nabc"],
  ["a space in a name", "GET /who HTTP/1.1\r\nHost: x\r\na b: c"],
  ["a byte over 127 in a name", "GET /who HTTP/1.1\r\nHost: x\r\n\xe9: c"],
  ["DEL in a value", "GET /who HTTP/1.1\r\nHost: x\r\nX: a\x7fb"],
  ["tabs in the request line", "GET\t/who\tHTTP/1.1\r\nHost: x"],
  ["a space in front", " GET /who HTTP/1.1\r\nHost: x"],
  ["a raw byte over 127 in the target", "GET /who\xe9 HTTP/1.1\r\nHost: x"],
  ["a target without a slash", "GET who HTTP/1.1\r\nHost: x"],
  ["a method in small letters", "get /who HTTP/1.1\r\nHost: x"],
  ["a method that nobody knows", "SMUGGLE /who HTTP/1.1\r\nHost: x"],
  ["a version that nobody knows", "GET /who HTTP/1.2\r\nHost: x"],
  ["the beginning of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM"],
])("a head with %s is refused", async (_, head) => {
  await refused(who(head));
});

test("the bytes after a body are the next request, also after a GET with a body", async () => {
  const body = `GET /who HTTP/1.1\r\nHost: x\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`;
  const { statuses } = await hear(port, body + who("GET /healthz HTTP/1.1\r\nHost: x"));
  expect(statuses).toEqual([200, 200, 404]);
  expect(seen).toEqual(["/who", "/healthz", "/hidden"]);
});

test.each([
  "HTTP/1.1\r\nHost: x\r\nConnection: close",
  "HTTP/1.0",
  // An upgrade is answered without the upgrade.
  "HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket",
  "HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: upgrade, HTTP2-Settings",
])("the bytes after a request with %j are not read, and its connection closes", async (head) => {
  // A handler that answers at once: Node's own server answers 400 while a reply is pending.
  const { statuses, text } = await hear(port, who(`GET /healthz ${head}`));
  expect([statuses, seen]).toEqual([[200], ["/healthz"]]);
  expect(text).toContain("\r\nConnection: close\r\n");
});

test("a CONNECT request closes the connection without a reply", async () => {
  expect((await hear(port, who("CONNECT x:1 HTTP/1.1\r\nHost: x"))).statuses).toEqual([]);
});
