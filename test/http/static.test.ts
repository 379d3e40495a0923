/** Static files: which files are served, and how. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import zlib from "node:zlib";
import { expect, onTestFinished, test, vi } from "vitest";
import { readStatic } from "../../src/http/static.js";
import { start } from "../wire/chat.js";
import { ask } from "../wire/person.js";
import { get, hear } from "../wire/raw.js";

test("the files of known types in a folder are served, but no links, hidden files and folders", () => {
  const folder = mkdtempSync(join(tmpdir(), "holdline-static-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const file of ["chat.css", "a b.js", "字.svg", "notes.md", ".css"])
    writeFileSync(join(folder, file), "x");
  mkdirSync(join(folder, "sub.css"));
  writeFileSync(join(folder, "sub.css/below.css"), "x");
  symlinkSync("chat.css", join(folder, "link.css"));
  symlinkSync("nowhere.css", join(folder, "dangling.css"));
  symlinkSync(".", join(folder, "loop.css"));
  expect(
    readStatic(folder)
      .map(([path]) => path)
      .sort(),
  ).toEqual(["a b.js", "chat.css", "字.svg"]);
});

test("a path out of the folder leads to no file", async () => {
  const { port } = await start();
  const below = "../ ..%2f %2e%2e/ ..%5c ..\\ %252e%252e/".split(" ").map((up) => `/client/${up}server.js`);
  const others =
    "/client//page.js /client/page.js%00 /../package.json /client/ /client /chat.css/ /.css /login.html";
  for (const path of [...below, ...others.split(" ")])
    expect([400, 404], path).toContain((await hear(port, get(path, "Connection: close"))).statuses[0]);
});

test.each([
  ["gzip, deflate, br", "gzip"],
  ["br, GZIP;q=0.5", "gzip"],
  ["br, gzip; q=0.000", null],
  ["brotli, xgzip, gzipx", null],
])("a file for Accept-Encoding %j has the coding %s, and its ETag is a 304", async (coding, expected) => {
  const { url } = await start();
  const get = (headers = {}) =>
    fetch(`${url}/chat.css`, { headers: { "Accept-Encoding": coding, ...headers } });
  const plain = await ask(`${url}/chat.css`);
  const { headers } = await get();
  const found = [headers.get("content-encoding"), headers.get("vary"), headers.get("content-type")];
  expect(found).toEqual([expected, "Accept-Encoding", "text/css; charset=utf-8"]);
  expect(headers.get("x-content-type-options")).toBe("nosniff");
  const tag = `${headers.get("etag")}`;
  expect(tag.includes("gzip")).toBe(expected !== null);
  for (const known of [tag, `W/${tag}`, `"x", ${tag}`])
    expect((await get({ "If-None-Match": known })).status).toBe(304);
  const again = await get({ "If-None-Match": '"x"' });
  expect([again.status, await again.text()]).toEqual([200, plain.body]);
});

test("compression never blocks the event loop, and happens once for many requests", async () => {
  onTestFinished(syncBuiltinESMExports);
  const [sync, gzip] = [vi.spyOn(zlib, "gzipSync"), vi.spyOn(zlib, "gzip")];
  syncBuiltinESMExports();
  const { url } = await start();
  expect(gzip).not.toHaveBeenCalled();
  for (const { headers } of await Promise.all(
    ["a", "b", "c"].map((query) => fetch(`${url}/chat.css?${query}`)),
  ))
    expect(headers.get("content-encoding")).toBe("gzip");
  expect([gzip.mock.calls.length, sync.mock.calls.length]).toEqual([1, 0]);
});
