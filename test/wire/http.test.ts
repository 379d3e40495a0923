import http from "node:http";
import { syncBuiltinESMExports } from "node:module";
import zlib, { brotliDecompressSync, gunzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { type Running, startChat } from "./chat.js";
import { ask, HTML, Person, texts } from "./person.js";
import { hear } from "./raw.js";

let running: Running;
beforeAll(async () => {
  running = await startChat();
});
afterAll(async () => {
  await running.close();
  expect(running.log).toEqual([]);
});

/** Sends bytes to the server. Returns everything received until it closes. */
async function raw(bytes: string): Promise<string> {
  return (await hear(Number(new URL(running.url).port), bytes)).text;
}

test("an error is a page for a caller that prefers pages", async () => {
  const reply = await ask(`${running.url}/no/where/<i>`, { headers: HTML });
  expect([reply.status, reply.headers["content-type"]]).toEqual([404, "text/html; charset=utf-8"]);
  expect(reply.body).toContain('href="../../chat.css"');
});

test("a message loses the line ends around it, and inner ones become \\n", async () => {
  const ann = await Person.login(running.url, "ann");
  await ann.post("\r\n\r\na\r\nb\rc\n\n");
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["a\nb\nc"]);
});

test("a request target in absolute form is accepted", async () => {
  const answer = await raw(
    "GET http://a.example/healthz?x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n",
  );
  expect(answer).toMatch(/^HTTP\/1.1 200 OK\r\n/);
});

describe("static files", () => {
  test("have a type and an ETag, and a known ETag is 304", async () => {
    const css = await ask(`${running.url}/chat.css`);
    expect(css.headers).toMatchObject({
      "content-type": "text/css; charset=utf-8",
      "x-content-type-options": "nosniff",
    });
    const etag = css.headers.etag ?? "";
    for (const tag of [etag, `W/${etag}`, `"x", ${etag}`]) {
      const again = await ask(`${running.url}/chat.css`, { headers: { "If-None-Match": tag } });
      expect([again.status, again.body]).toEqual([304, ""]);
    }
    expect((await ask(`${running.url}/chat.css`, { headers: { "If-None-Match": '"x"' } })).status).toBe(200);
  });

  test("are compressed for clients that accept it, each encoding with its own ETag", async () => {
    const bytes = (coding: string) =>
      new Promise<[http.IncomingMessage, Buffer]>((resolve, reject) => {
        http
          .get(`${running.url}/client/page.js`, { headers: { "Accept-Encoding": coding } }, (res) => {
            const chunks: Buffer[] = [];
            res
              .on("data", (chunk: Buffer) => chunks.push(chunk))
              .on("end", () => resolve([res, Buffer.concat(chunks)]));
          })
          .on("error", reject);
      });
    const [plain, source] = await bytes("identity");
    const [brotli, small] = await bytes("gzip, br");
    const [gzip, other] = await bytes("gzip, br;q=0");
    expect([plain, brotli, gzip].map((res) => res.headers["content-encoding"])).toEqual([
      undefined,
      "br",
      "gzip",
    ]);
    expect(new Set([plain, brotli, gzip].map((res) => res.headers.etag)).size).toBe(3);
    expect(brotliDecompressSync(small).equals(source)).toBe(true);
    expect(gunzipSync(other).equals(source)).toBe(true);
    expect(brotli.headers.vary).toBe("Accept-Encoding");
  });

  describe("compressed", () => {
    afterEach(() => {
      vi.restoreAllMocks();
      syncBuiltinESMExports();
    });

    test("never block the event loop, and are compressed once for many requests", async () => {
      const sync = [vi.spyOn(zlib, "brotliCompressSync"), vi.spyOn(zlib, "gzipSync")];
      const brotli = vi.spyOn(zlib, "brotliCompress");
      syncBuiltinESMExports();
      const other = await startChat();
      expect(brotli).not.toHaveBeenCalled();
      const get = () => ask(`${other.url}/client/page.js`, { headers: { "Accept-Encoding": "br" } });
      const replies = await Promise.all([get(), get(), get()]);
      expect(replies.map(({ headers }) => headers["content-encoding"])).toEqual(["br", "br", "br"]);
      await get();
      expect(brotli).toHaveBeenCalledTimes(1);
      for (const spy of sync) expect(spy).not.toHaveBeenCalled();
      await other.close();
    });
  });

  test("outside the folder are not served", async () => {
    for (const path of [
      "/../package.json",
      "/%2e%2e/package.json",
      "/..%2fpackage.json",
      "/client/../../package.json",
      "/.%00./x",
      "/chat.css/",
      "/chatroom.html",
      "//chat.css",
    ]) {
      expect(await raw(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)).toMatch(
        /^HTTP\/1.1 404 /,
      );
    }
  });
});
