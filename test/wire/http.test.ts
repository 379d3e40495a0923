import http from "node:http";
import { connect } from "node:net";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Running, startChat, until } from "./chat.js";
import { ask, HTML, Person } from "./person.js";

let running: Running;
let ann: Person;
beforeAll(async () => {
  running = await startChat();
  ann = await Person.login(running.url, "ann");
});
afterAll(async () => {
  await running.close();
  expect(running.log).toEqual([]);
});

/** Writes bytes to the server and gives back all it answers until it closes. */
function raw(...pieces: (string | Buffer)[]): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(running.server.address() as { port: number });
    let answer = "";
    socket.setEncoding("latin1").on("data", (text: string) => {
      answer += text;
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(answer));
    for (const piece of pieces) socket.write(piece);
  });
}

describe("the way in", () => {
  test("leads from / to the log-in form, and from there to one's own room", async () => {
    expect(await ask(`${running.url}/`)).toMatchObject({ status: 303, headers: { location: "login" } });
    expect(await ann.ask("")).toMatchObject({ status: 303, headers: { location: "chatroom/ann/" } });
    const form = await ask(`${running.url}/login`);
    expect(form.status).toBe(200);
    expect(form.body).toMatch(/<form[^>]* method="post"/);
    expect(form.body).toMatch(/<input[^>]* name="name"/);
  });

  test("to a room is by its own name, with a slash at the end", async () => {
    expect((await ann.ask("chatroom/ann/")).status).toBe(200);
    expect(await ann.ask("chatroom/ann")).toMatchObject({ status: 308, headers: { location: "./ann/" } });
    expect(await ann.ask("chatroom/a%3Ab")).toMatchObject({ status: 308, headers: { location: "./a%3Ab/" } });
    expect((await ann.ask("chatroom/bob/")).headers.location).toBe("../../chatroom/ann/");
    expect((await ask(`${running.url}/chatroom/ann/`)).headers.location).toBe("../../login");
  });

  test("shows the newest messages in the page, as text, and a form that posts", async () => {
    await ann.post("<script>alert(1)</script> & more");
    const page = await ann.ask("chatroom/ann/");
    expect(page.body).toContain("&#60;script&#62;alert(1)&#60;/script&#62; &#38; more");
    expect(page.body).not.toContain("<script>alert");
    expect(page.body).toContain('action="../../put_post/ann"');
    expect(page.headers["cache-control"]).toBe("no-store");
  });

  test("a posted form returns to the room, a script gets the id", async () => {
    const body = { method: "POST", body: "message=hello" };
    const type = { "Content-Type": "application/x-www-form-urlencoded" };
    const form = await ann.ask("put_post/ann", { ...body, headers: { ...type, ...HTML } });
    expect(form).toMatchObject({ status: 303, headers: { location: "../chatroom/ann/" } });
    const script = await ann.ask("put_post/ann", { ...body, headers: { ...type, Accept: "*/*" } });
    expect(JSON.parse(script.body)).toEqual({ id: expect.stringMatching(/^\d+-\d+$/) });
  });

  test("the cookie is out of reach for scripts and other sites", async () => {
    const reply = await ask(`${running.url}/login`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: '{"name":"cookie"}',
    });
    expect(reply.headers["set-cookie"]?.[0]).toMatch(
      /^holdline=[\w.-]+; Max-Age=\d+; HttpOnly; SameSite=Lax$/,
    );
  });

  test("errors are pages for who prefers pages", async () => {
    const reply = await ask(`${running.url}/no/where/<i>`, { headers: HTML });
    expect([reply.status, reply.headers["content-type"]]).toEqual([404, "text/html; charset=utf-8"]);
    expect(reply.body).toContain('href="../../chat.css"');
  });
});

describe("posting", () => {
  test("twice with one key keeps one message, also when both arrive together", async () => {
    const ids = await Promise.all(
      Array.from({ length: 10 }, () => ann.post("once", { "Idempotency-Key": "k1" })),
    );
    expect(new Set(ids).size).toBe(1);
    expect(await ann.post("other words", { "Idempotency-Key": "k1" })).toBe(ids[0]);
    const field = { method: "POST", headers: { "Content-Type": "application/json" } };
    const again = await ann.ask("put_post/ann", { ...field, body: '{"message":"x","key":"k1"}' });
    expect(JSON.parse(again.body)).toEqual({ id: ids[0] });
    const bob = await Person.login(running.url, "bob");
    expect(await bob.post("mine", { "Idempotency-Key": "k1" })).not.toBe(ids[0]);
  });

  test("2,000 characters of four bytes each are one message; line ends are trimmed and made one kind", async () => {
    await ann.post("😀".repeat(2000));
    await ann.post("\r\n\r\na\r\nb\rc\n\n");
    const { messages } = await ann.batch("since=0&wait=0");
    expect(messages.slice(-2).map((message) => message.text)).toEqual(["😀".repeat(2000), "a\nb\nc"]);
  });
});

describe("requests out of the ordinary", () => {
  test("every GET has a HEAD, without a body and without effect", async () => {
    for (const path of [
      "login",
      "chatroom/ann/",
      "who",
      "healthz",
      "chat.css",
      "get_post/ann?since=0&wait=60",
    ]) {
      const head = await ann.ask(path, { method: "HEAD" });
      expect([path, head.status, head.body]).toEqual([path, 200, ""]);
      expect(Number(head.headers["content-length"])).toBeGreaterThan(0);
    }
  });

  test("a target with a host in front is understood", async () => {
    const answer = await raw(
      `GET http://a.example/healthz?x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 200 OK\r\n/);
  });

  test("two requests in one packet get two replies, in order", async () => {
    const head = `Host: x\r\nCookie: ${ann.cookie}\r\n`;
    const answer = await raw(
      `GET /get_post/ann?since=now&wait=0.05 HTTP/1.1\r\n${head}\r\nGET /healthz HTTP/1.1\r\n${head}Connection: close\r\n\r\n`,
    );
    expect(answer.match(/HTTP\/1.1 200 OK/g)).toHaveLength(2);
    expect(answer.indexOf('"messages":[]')).toBeLessThan(answer.indexOf("\r\n\r\nok"));
  });

  test("a client that leaves in the middle of its body is no trouble", async () => {
    const socket = connect(running.server.address() as { port: number });
    socket.write(
      `POST /put_post/ann HTTP/1.1\r\nHost: x\r\nCookie: ${ann.cookie}\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"mess`,
    );
    await new Promise((resolve) => running.server.once("request", resolve));
    socket.destroy();
    await new Promise((resolve) => socket.on("close", resolve));
    expect((await ann.batch("since=now&wait=0")).messages).toEqual([]);
  });

  test("nonsense is a 400 and the connection closes", async () => {
    for (const nonsense of [
      "\0\0\0\r\n\r\n",
      "GET\r\n\r\n",
      "GET / HTTP/9.9\r\n\r\n",
      "GET /who HTTP/1.1\r\n\r\n",
    ]) {
      expect(await raw(nonsense)).toMatch(/^HTTP\/1.1 400 /);
    }
  });

  test("a poll over HTTP/1.0 is answered and its connection closed", async () => {
    const poll = raw(`GET /get_post/ann?since=now&wait=60 HTTP/1.0\r\nCookie: ${ann.cookie}\r\n\r\n`);
    await until(() => running.chat.waiting === 1);
    await ann.post("to 1.0");
    expect(await poll).toContain('"text":"to 1.0"');
  });
});

describe("static files", () => {
  test("carry their type and a tag, and are not sent again to who has them", async () => {
    const css = await ask(`${running.url}/chat.css`);
    expect(css.headers).toMatchObject({
      "content-type": "text/css; charset=utf-8",
      "x-content-type-options": "nosniff",
    });
    const etag = css.headers.etag ?? "";
    for (const tag of [etag, `W/${etag}`, `"x", ${etag}`, "*"]) {
      const again = await ask(`${running.url}/chat.css`, { headers: { "If-None-Match": tag } });
      expect([again.status, again.body]).toEqual([304, ""]);
    }
    expect((await ask(`${running.url}/chat.css`, { headers: { "If-None-Match": '"x"' } })).status).toBe(200);
  });

  test("come compressed to who accepts that, each coding under a tag of its own", async () => {
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

  test("outside the folder are never served", async () => {
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
