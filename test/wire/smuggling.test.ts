/**
 * Requests that two servers in a row can parse differently, so that a body becomes a request. Each gets 400, and the
 * connection closes. Node's parser does most of this (seen on 20.20). These tests notice a change in Node.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { chatPerTest } from "./chat.js";
import { ask } from "./person.js";
import { hear } from "./raw.js";

const start = chatPerTest();
let url: string;
let port: number;
let seen: string[];
beforeEach(async () => {
  const running = await start();
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

describe("a body has one length", () => {
  test.each([
    ["both lengths", "Content-Length: 5\r\nTransfer-Encoding: chunked"],
    ["both lengths, the other way round", "Transfer-Encoding: chunked\r\nContent-Length: 5"],
    ["both lengths in odd letters", "CONTENT-LENGTH: 5\r\ntransfer-encoding: Chunked"],
    ["two lengths", "Content-Length: 5\r\nContent-Length: 6"],
    ["one length twice", "Content-Length: 5\r\nContent-Length: 5"],
    ["a list of lengths", "Content-Length: 5, 5"],
    ["a signed length", "Content-Length: +5"],
    ["a negative length", "Content-Length: -5"],
    ["a length in hex", "Content-Length: 0x5"],
    ["a length with a space in it", "Content-Length: 5 5"],
    ["a length with a fraction", "Content-Length: 5.0"],
    ["an empty length", "Content-Length:"],
    ["a length beyond all numbers", "Content-Length: 99999999999999999999999"],
    ["a space before the colon", "Content-Length : 5"],
    ["a space before the other colon", "Transfer-Encoding : chunked"],
    ["a coding that is not chunked", "Transfer-Encoding: identity"],
    ["a coding that only looks chunked", "Transfer-Encoding: xchunked"],
    ["a coding in quotes", 'Transfer-Encoding: "chunked"'],
    ["a coding behind a vertical tab", "Transfer-Encoding: \x0bchunked"],
    ["chunked not as the last coding", "Transfer-Encoding: chunked, gzip"],
    ["chunked twice", "Transfer-Encoding: chunked, chunked"],
    ["chunked twice, in two headers", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"],
    ["chunked and then identity", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"],
    ["a folded coding", "Transfer-Encoding:\r\n chunked"],
    ["a folded length", "Content-Length:\r\n 5"],
    ["a length behind a bare CR", "X: y\rContent-Length: 5"],
    ["a length behind a bare LF", "X: y\nContent-Length: 5"],
  ])("not %s", async (_, headers) => {
    await refused(login(headers, `5\r\nname=\r\n0\r\n\r\n${HIDDEN}`));
  });
});

describe("a chunked body is valid", () => {
  test.each([
    ["no number", "zz\r\nname=a\r\n0\r\n\r\n"],
    ["a prefix", "0x6\r\nname=a\r\n0\r\n\r\n"],
    ["a sign", "+6\r\nname=a\r\n0\r\n\r\n"],
    ["a minus", "-6\r\nname=a\r\n0\r\n\r\n"],
    ["a space in front", " 6\r\nname=a\r\n0\r\n\r\n"],
    ["a space behind", "6 \r\nname=a\r\n0\r\n\r\n"],
    ["a size beyond all numbers", "fffffffffffffffff\r\nname=a\r\n0\r\n\r\n"],
    ["a size that wraps to 6", "10000000000000006\r\nname=a\r\n0\r\n\r\n"],
    ["no size", "\r\nname=a\r\n0\r\n\r\n"],
    ["bare line feeds", "6\nname=a\n0\n\n"],
    ["a bare LF after the size", "6\nname=a\r\n0\r\n\r\n"],
    ["a bare LF after the bytes", "6\r\nname=a\n0\r\n\r\n"],
    ["a bare LF at the end", "6\r\nname=a\r\n0\r\n\n"],
    ["a bare LF after the last size", "6\r\nname=a\r\n0\n\r\n"],
    ["a bare CR after the size", "6\rname=a\r\n0\r\n\r\n"],
    ["more bytes than the size", "6\r\nname=aaaa\r\n0\r\n\r\n"],
    ["nothing between the bytes and the next size", "6\r\nname=a0\r\n\r\n"],
    ["a bare LF in an extension", "6;a\nb\r\nname=a\r\n0\r\n\r\n"],
    ["a bare CR in an extension", "6;a\rb\r\nname=a\r\n0\r\n\r\n"],
    ["NUL in an extension", "6;a\0b\r\nname=a\r\n0\r\n\r\n"],
    ["a length in the trailer", "6\r\nname=a\r\n0\r\nContent-Length: 9\r\n\r\n"],
    ["a coding in the trailer", "6\r\nname=a\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["a folded trailer", "6\r\nname=a\r\n0\r\nX: y\r\n z\r\n\r\n"],
    ["a space before a trailer's colon", "6\r\nname=a\r\n0\r\nX : y\r\n\r\n"],
  ])("not with %s", async (_, body) => {
    await refused(chunked(body));
  });

  test("extensions and trailers are ignored within bounds", async () => {
    const body = '5;a="b;c"\r\nname=\r\n0\r\nX: y\r\n\r\n';
    const fine = await hear(port, login("Transfer-Encoding: chunked\r\nConnection: close", body));
    expect(fine.statuses).toEqual([422]);
    await refused(chunked(`6;${"a".repeat(20_000)}\r\nname=a\r\n0\r\n\r\n`), 413);
    await refused(chunked(`6\r\nname=a\r\n0\r\nX: ${"a".repeat(20_000)}\r\n\r\n`), 431);
  });

  test("a request without a body reader is executed, and its connection closes at the bad chunk", async () => {
    const head = "POST /logout HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked";
    expect((await hear(port, `${head}\r\n\r\nzz\r\n\r\n${HIDDEN}`)).statuses).toHaveLength(1);
    expect(seen).toEqual(["/logout"]);
  });
});

describe("a head consists of CR LF lines without control characters", () => {
  test.each([
    ["NUL in a value", "GET /who HTTP/1.1\r\nHost: x\r\nX: a\0b"],
    ["NUL in a name", "GET /who HTTP/1.1\r\nHost: x\r\nX\0: a"],
    ["NUL in the target", "GET /who\0 HTTP/1.1\r\nHost: x"],
    ["a bare CR in a value", "GET /who HTTP/1.1\r\nHost: x\r\nX: a\rb"],
    ["a bare CR in the target", "GET /who\rx HTTP/1.1\r\nHost: x"],
    ["CR CR LF", "GET /who HTTP/1.1\r\nHost: x\r\r\n"],
    ["bare LF after the request line", "GET /who HTTP/1.1\nHost: x"],
    ["bare LF after a header", "GET /who HTTP/1.1\r\nHost: x\nX: y"],
    ["bare LF at the end", "GET /who HTTP/1.1\r\nHost: x\r\n\n"],
    ["bare LF everywhere", "GET /who HTTP/1.1\nHost: x\n\n"],
    ["a folded header", "GET /who HTTP/1.1\r\nHost: x\r\nX: a\r\n b"],
    ["a header folded with a tab", "GET /who HTTP/1.1\r\nHost: x\r\nX: a\r\n\tb"],
    ["a folded first header", "GET /who HTTP/1.1\r\n Host: x"],
    ["a space before the colon", "GET /who HTTP/1.1\r\nHost : x"],
    ["a tab before the colon", "GET /who HTTP/1.1\r\nHost\t: x"],
    ["no name", "GET /who HTTP/1.1\r\nHost: x\r\n: a"],
    ["no colon", "GET /who HTTP/1.1\r\nHost: x\r\nabc"],
    ["a space in a name", "GET /who HTTP/1.1\r\nHost: x\r\na b: c"],
    ["a bracket in a name", "GET /who HTTP/1.1\r\nHost: x\r\na(b): c"],
    ["a byte over 127 in a name", "GET /who HTTP/1.1\r\nHost: x\r\n\xe9: c"],
    ["a control in a value", "GET /who HTTP/1.1\r\nHost: x\r\nX: a\x01b"],
    ["DEL in a value", "GET /who HTTP/1.1\r\nHost: x\r\nX: a\x7fb"],
    ["a space behind the version", "GET /who HTTP/1.1 \r\nHost: x"],
    ["tabs in the request line", "GET\t/who\tHTTP/1.1\r\nHost: x"],
    ["a space in front", " GET /who HTTP/1.1\r\nHost: x"],
    ["a raw byte over 127 in the target", "GET /who\xe9 HTTP/1.1\r\nHost: x"],
    ["a target without a slash", "GET who HTTP/1.1\r\nHost: x"],
    ["a method in small letters", "get /who HTTP/1.1\r\nHost: x"],
    ["a method that nobody knows", "SMUGGLE /who HTTP/1.1\r\nHost: x"],
    ["a version that nobody knows", "GET /who HTTP/1.2\r\nHost: x"],
    ["the beginning of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM"],
  ])("not %s", async (_, head) => {
    await refused(who(head));
  });

  test("a request without Host is refused", async () => {
    expect((await hear(port, "GET /who HTTP/1.1\r\n\r\n")).statuses).toEqual([400]);
  });

  test("a head over the bound is 431", async () => {
    await refused(who(`GET /who HTTP/1.1\r\nHost: x\r\nX: ${"a".repeat(17_000)}`), 431);
  });
});

describe("a request ends where its length says", () => {
  test("the bytes after a body are the next request, also after a GET with a body", async () => {
    const body = `GET /who HTTP/1.1\r\nHost: x\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`;
    const { statuses } = await hear(port, body + who("GET /healthz HTTP/1.1\r\nHost: x"));
    expect(statuses).toEqual([200, 200, 404]);
    expect(seen).toEqual(["/who", "/healthz", "/hidden"]);
  });

  test.each([
    ["HTTP/1.1\r\nHost: x\r\nConnection: close"],
    ["HTTP/1.0"],
    // An upgrade is answered without the upgrade.
    ["HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket"],
    ["HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: upgrade, HTTP2-Settings"],
  ])("the bytes after a request with %j are not read, and its connection closes", async (head) => {
    const { statuses, text } = await hear(port, who(`GET /who ${head}`));
    expect([statuses, seen]).toEqual([[200], ["/who"]]);
    expect(text).toContain("\r\nConnection: close\r\n");
  });

  test("a CONNECT request closes the connection without a reply", async () => {
    await expect(hear(port, who("CONNECT x:1 HTTP/1.1\r\nHost: x"))).resolves.toMatchObject({ statuses: [] });
  });
});
