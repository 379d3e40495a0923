/** Static files over real sockets: which files are served, and how. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readStatic } from "../../src/http/static.js";
import { ask, listenRouter, raw } from "./listen.js";

const STYLE = `body { color: black } /* ${"a long comment ".repeat(100)} */`;
const ICON = Buffer.from([0x89, 0x50, 0, 255]);
let top: string;
let port: number;

beforeAll(() => {
  top = mkdtempSync(join(tmpdir(), "holdline-static-"));
  const write = (path: string, text: string | Buffer) => writeFileSync(join(top, path), text);
  for (const folder of ["files", "files/sub", "files-sibling", "outside"]) mkdirSync(join(top, folder));
  write("files/chat.css", STYLE);
  write("files/sub/a b.js", "script");
  write("files/icon.png", ICON);
  write("files/字.svg", "<svg/>");
  write("files/notes.md", "of a type that is not served");
  write("files/.css", "hidden");
  write("files-sibling/secret.css", "secret");
  write("outside/secret.css", "secret");
  symlinkSync("../outside/secret.css", join(top, "files/link.css"));
  symlinkSync("../outside", join(top, "files/folder-link"));
  symlinkSync(".", join(top, "files/loop"));
  symlinkSync("nowhere.css", join(top, "files/dangling.css"));
});

afterAll(() => {
  rmSync(top, { recursive: true });
});

async function serve() {
  const handlers = readStatic(join(top, "files")).map(({ path, serve }) => [`GET /files/${path}`, serve]);
  ({ port } = await listenRouter(Object.fromEntries(handlers)));
}

async function get(path: string, headers = {}, method = "GET") {
  await serve();
  return ask(port, `/files/${path}`, { headers, method });
}

test("the files of known types are served, and no links", () => {
  const paths = readStatic(join(top, "files")).map(({ path }) => path);
  expect(paths.sort()).toEqual(["chat.css", "icon.png", "sub/a b.js", "字.svg"].sort());
});

test.each([
  ...["../outside/secret.css", "..%2foutside%2fsecret.css", "%2e%2e/outside/secret.css"],
  ...["..\\outside\\secret.css", "..%5coutside%5csecret.css", "sub/../../outside/secret.css"],
  ...[
    "link.css",
    "folder-link/secret.css",
    "loop/chat.css",
    "-sibling/secret.css",
    "chat.css%00",
    "/chat.css",
  ],
  ...["%252e%252e/outside/secret.css", "", "sub", ".css", "notes.md"],
])("the path %j leads to no file", async (path) => {
  await serve();
  const reply = await raw(port, `GET /files/${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  expect(reply).toMatch(/^HTTP\/1.1 40[04] /);
});

test.each([
  ["chat.css", "text/css; charset=utf-8", STYLE],
  ["icon.png", "image/png", `${ICON}`],
  ["sub/a%20b.js", "text/javascript; charset=utf-8", "script"],
  ["%E5%AD%97.svg", "image/svg+xml", "<svg/>"],
])("the file %s is served with its type", async (path, type, expected) => {
  const { status, headers, body } = await get(path);
  expect([status, `${body}`, headers["content-type"]]).toEqual([200, expected, type]);
  expect(headers["x-content-type-options"]).toBe("nosniff");
});

test.each([
  ["gzip, deflate, br", "br"],
  ["gzip", "gzip"],
  ["GZIP;q=0.5", "gzip"],
  ["br;q=0, gzip", "gzip"],
  ["br ; q=0.0,gzip ; q=1", "gzip"],
  ["br;q=0.000, gzip; q=0", undefined],
  ["identity", undefined],
  ["", undefined],
  ["brotli, xgzip, gzipx", undefined],
])("a file for Accept-Encoding %j has the coding %s", async (accepted, coding) => {
  const { headers, body } = await get("chat.css", { "Accept-Encoding": accepted });
  expect([headers["content-encoding"], headers.vary]).toEqual([coding, "Accept-Encoding"]);
  const decoded = coding === "br" ? brotliDecompressSync(body) : coding === "gzip" ? gunzipSync(body) : body;
  expect(`${decoded}`).toBe(STYLE);
});

test("HEAD gets the head of a file with its length, and POST is 405", async () => {
  const { status, headers, body } = await get("chat.css", {}, "HEAD");
  expect([status, headers["content-length"], body.length]).toEqual([200, `${STYLE.length}`, 0]);
  expect((await get("chat.css", {}, "POST")).status).toBe(405);
});

test("a file that the caller has is 304, and each coding has a tag of its own", async () => {
  const plain = (await get("chat.css")).headers.etag ?? "";
  const packed = (await get("chat.css", { "Accept-Encoding": "gzip" })).headers.etag ?? "";
  expect(plain).toMatch(/^"[^"]+"$/);
  expect(packed).not.toBe(plain);
  for (const tag of [plain, `W/${plain}`, "*", `"other", ${plain}`, `"other",W/${plain} `, ` ${plain}`]) {
    const { status, headers, body } = await get("chat.css", { "If-None-Match": tag });
    expect([status, headers.etag, body.length], tag).toEqual([304, plain, 0]);
  }
  for (const tag of ['"other"', plain.slice(1, -1), packed, "", plain.toUpperCase(), '"*"', `${plain}x`]) {
    expect((await get("chat.css", { "If-None-Match": tag })).status, tag).toBe(200);
  }
});

test("the tag of a file depends on its bytes", async () => {
  const before = (await get("sub/a%20b.js")).headers.etag;
  expect((await get("sub/a%20b.js")).headers.etag).toBe(before);
  writeFileSync(join(top, "files/sub/a b.js"), "other");
  expect((await get("sub/a%20b.js")).headers.etag).not.toBe(before);
});

test("a file that is written after the start is not served", async () => {
  await serve();
  writeFileSync(join(top, "files/late.css"), "late");
  expect((await ask(port, "/files/late.css")).status).toBe(404);
  rmSync(join(top, "files/late.css"));
});

test("a missing folder throws", () => {
  expect(() => readStatic(join(top, "missing"))).toThrow(/ENOENT/);
});
