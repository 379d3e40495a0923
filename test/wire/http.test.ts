/** Static files over the wire: ETags and compression. */
import http from "node:http";
import { syncBuiltinESMExports } from "node:module";
import zlib, { brotliDecompressSync, gunzipSync } from "node:zlib";
import { afterEach, expect, test, vi } from "vitest";
import { chatPerTest } from "./chat.js";
import { ask } from "./person.js";

const start = chatPerTest();
afterEach(() => {
  vi.restoreAllMocks();
  syncBuiltinESMExports();
});

test("a known ETag of a static file is 304, and another one gets the file", async () => {
  const { url } = await start();
  const { etag = "" } = (await ask(`${url}/chat.css`)).headers;
  for (const tag of [etag, `W/${etag}`, `"x", ${etag}`]) {
    const again = await ask(`${url}/chat.css`, { headers: { "If-None-Match": tag } });
    expect([again.status, again.body]).toEqual([304, ""]);
  }
  expect((await ask(`${url}/chat.css`, { headers: { "If-None-Match": '"x"' } })).status).toBe(200);
});

test("a static file is compressed for clients that accept it, each encoding with its own ETag", async () => {
  const { url } = await start();
  const fetch = async (coding: string): Promise<[http.IncomingMessage, Buffer]> => {
    const headers = { "Accept-Encoding": coding };
    const res = await new Promise<http.IncomingMessage>((resolve) => {
      http.get(`${url}/client/page.js`, { headers }, resolve);
    });
    return [res, Buffer.concat(await res.toArray())];
  };
  const [plain, source] = await fetch("identity");
  const [brotli, small] = await fetch("gzip, br");
  const [gzip, other] = await fetch("gzip, br;q=0");
  const codings = [plain, brotli, gzip].map((res) => res.headers["content-encoding"]);
  expect(codings).toEqual([undefined, "br", "gzip"]);
  expect(new Set([plain, brotli, gzip].map((res) => res.headers.etag)).size).toBe(3);
  expect(brotliDecompressSync(small).equals(source)).toBe(true);
  expect(gunzipSync(other).equals(source)).toBe(true);
  expect(brotli.headers.vary).toBe("Accept-Encoding");
});

test("compression never blocks the event loop, and happens once for many requests", async () => {
  const sync = [vi.spyOn(zlib, "brotliCompressSync"), vi.spyOn(zlib, "gzipSync")];
  const brotli = vi.spyOn(zlib, "brotliCompress");
  syncBuiltinESMExports();
  const { url } = await start();
  expect(brotli).not.toHaveBeenCalled();
  const fetch = () => ask(`${url}/client/page.js`, { headers: { "Accept-Encoding": "br" } });
  for (const { headers } of [...(await Promise.all([fetch(), fetch(), fetch()])), await fetch()])
    expect(headers["content-encoding"]).toBe("br");
  expect(brotli).toHaveBeenCalledTimes(1);
  for (const spy of sync) expect(spy).not.toHaveBeenCalled();
});
