/** Static files over real sockets: what is served, how, and what never is. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readStatic } from "../../src/http/static.js";
import { ask, listenRouter, raw } from "./listen.js";

const STYLE = `body { color: black } /* ${"a long comment ".repeat(100)} */`;
let top: string;

beforeAll(() => {
  top = mkdtempSync(join(tmpdir(), "holdline-static-"));
  const write = (path: string, text: string | Buffer) => writeFileSync(join(top, path), text);
  for (const folder of ["files", "files/sub", "files-sibling", "outside"]) mkdirSync(join(top, folder));
  write("files/chat.css", STYLE);
  write("files/small.txt", "small");
  write("files/sub/a b.js", "script");
  write("files/empty.html", "");
  write("files/icon.png", Buffer.from([0x89, 0x50, 0, 255]));
  write("files/字.svg", "<svg/>");
  write("files/notes.md", "of a type that is not served");
  write("files/.css", "hidden");
  write("files-sibling/secret.txt", "secret");
  write("outside/secret.txt", "secret");
  symlinkSync("../outside/secret.txt", join(top, "files/link.txt"));
  symlinkSync("../outside", join(top, "files/folder-link"));
  symlinkSync(".", join(top, "files/loop"));
  symlinkSync("nowhere.txt", join(top, "files/dangling.txt"));
});

afterAll(() => {
  rmSync(top, { recursive: true });
});

const read = () => readStatic(join(top, "files"));

async function serving() {
  const handlers = read().map(({ path, serve }) => [`GET /files/${path}`, serve]);
  return (await listenRouter(Object.fromEntries(handlers))).port;
}

test("the files of the folder and below are served, of known types only", () => {
  const paths = read().map(({ path }) => path);
  expect(paths.filter((path) => !path.includes("link") && !path.includes("loop")).sort()).toEqual(
    ["chat.css", "empty.html", "icon.png", "small.txt", "sub/a b.js", "字.svg"].sort(),
  );
});

test("a link, to a file, to a folder or to itself, is not followed: it could lead out of the folder", () => {
  const places = new Set(read().map(({ path }) => path.split("/")[0]));
  expect([...places].filter((place) => /link|loop|dangling/.test(place ?? ""))).toEqual([]);
});

test("no path leads out of the folder", async () => {
  const port = await serving();
  const secrets = ["../outside/secret.txt", "..%2foutside%2fsecret.txt", "%2e%2e/outside/secret.txt"];
  const more = ["..\\outside\\secret.txt", "..%5coutside%5csecret.txt", "sub/../../outside/secret.txt"];
  const links = ["link.txt", "folder-link/secret.txt", "-sibling/secret.txt", "small.txt%00", "/small.txt"];
  for (const path of [
    ...secrets,
    ...more,
    ...links,
    "%252e%252e/outside/secret.txt",
    "",
    "sub",
    ".css",
    "notes.md",
  ]) {
    const head = await raw(port, `GET /files/${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    expect(head, path).toMatch(/^HTTP\/1.1 40[04] /);
    expect(head, path).not.toContain("\r\n\r\nsecret");
  }
});

describe("a file", () => {
  const get = async (path: string, headers = {}, method = "GET") =>
    ask(await serving(), `/files/${path}`, { headers, method });

  test("has its type, its bytes, and is not sniffed", async () => {
    const { status, headers, body } = await get("chat.css");
    expect([status, `${body}`, headers["content-type"]]).toEqual([200, STYLE, "text/css; charset=utf-8"]);
    expect(headers["x-content-type-options"]).toBe("nosniff");
    const icon = await get("icon.png");
    expect([icon.headers["content-type"], icon.body]).toEqual([
      "image/png",
      Buffer.from([0x89, 0x50, 0, 255]),
    ]);
    expect((await get("sub/a%20b.js")).headers["content-type"]).toBe("text/javascript; charset=utf-8");
    expect((await get("%E5%AD%97.svg")).headers["content-type"]).toBe("image/svg+xml");
    expect((await get("empty.html")).headers["content-length"]).toBe("0");
  });

  test("goes out in the best coding that the caller takes, and says that this depends", async () => {
    const codings: [string, string | undefined][] = [
      ["gzip, deflate, br", "br"],
      ["gzip", "gzip"],
      ["GZIP;q=0.5", "gzip"],
      ["br;q=0, gzip", "gzip"],
      ["br;q=0.000, gzip; q=0", undefined],
      ["br ; q=0.0,gzip ; q=1", "gzip"],
      ["identity", undefined],
      ["", undefined],
      ["brotli, xgzip, gzipx", undefined],
    ];
    for (const [accepted, coding] of codings) {
      const { headers, body } = await get("chat.css", { "Accept-Encoding": accepted });
      expect(headers["content-encoding"], accepted).toBe(coding);
      expect(headers.vary).toBe("Accept-Encoding");
      const plain =
        coding === "br" ? brotliDecompressSync(body) : coding === "gzip" ? gunzipSync(body) : body;
      expect(`${plain}`).toBe(STYLE);
    }
  });

  test("that is small is not compressed", async () => {
    expect((await get("small.txt", { "Accept-Encoding": "gzip, br" })).headers).not.toHaveProperty(
      "content-encoding",
    );
  });

  test("to HEAD is its head, length and all", async () => {
    const { status, headers, body } = await get("chat.css", {}, "HEAD");
    expect([status, headers["content-length"], body.length]).toEqual([200, `${STYLE.length}`, 0]);
    expect((await get("chat.css", {}, "POST")).status).toBe(405);
  });

  test("that the caller has already is a 304, told by a tag that is the coding's own", async () => {
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
    expect((await get("chat.css", { "If-None-Match": plain }, "HEAD")).status).toBe(304);
  });

  test("with the same bytes has the same tag after a restart, with others another", async () => {
    const before = (await get("small.txt")).headers.etag;
    expect((await get("small.txt")).headers.etag).toBe(before);
    writeFileSync(join(top, "files/small.txt"), "other");
    expect((await get("small.txt")).headers.etag).not.toBe(before);
  });
});

test("what changes after the start is not served: files are read once", async () => {
  const port = await serving();
  writeFileSync(join(top, "files/late.txt"), "late");
  expect((await ask(port, "/files/late.txt")).status).toBe(404);
  rmSync(join(top, "files/late.txt"));
});

test("a folder that is not there is said, and not taken for an empty one", () => {
  expect(() => readStatic(join(top, "missing"))).toThrow(/ENOENT/);
});
