/** Static files over the wire: ETags and compression. */
import { syncBuiltinESMExports } from "node:module";
import zlib from "node:zlib";
import { afterEach, expect, test, vi } from "vitest";
import { chatPerTest } from "./chat.js";
import { ask } from "./person.js";

const start = chatPerTest();
afterEach(() => {
  vi.restoreAllMocks();
  syncBuiltinESMExports();
});

test("each coding of a static file has its own ETag, which is a 304 when it is known", async () => {
  const { url } = await start();
  const fetch = (coding: string, tag = "") =>
    ask(`${url}/client/page.js`, { headers: { "Accept-Encoding": coding, "If-None-Match": tag } });
  const tags = new Set<string>();
  for (const coding of ["identity", "gzip", "br"]) {
    const { etag = "" } = (await fetch(coding)).headers;
    tags.add(etag);
    for (const tag of [etag, `W/${etag}`, `"x", ${etag}`]) {
      const again = await fetch(coding, tag);
      expect([again.status, again.body]).toEqual([304, ""]);
    }
    expect((await fetch(coding, '"x"')).status).toBe(200);
  }
  expect(tags.size).toBe(3);
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
