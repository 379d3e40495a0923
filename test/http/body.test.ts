/** A request's body, over real sockets. */
import { once } from "node:events";
import { expect, test } from "vitest";
import { HttpError, json } from "../../src/http/response.js";
import { ask, awaited, dial, listenRequest, raw } from "./listen.js";

const LIMIT = 1000;
const form = "application/x-www-form-urlencoded";

/** What comes of a POST: the fields, or the refusal's status and code. */
async function posted(type: string | undefined, body: string | Buffer, headers = {}) {
  const port = await listenRequest(async (request) => {
    try {
      return json(200, [...(await request.form())]);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      return json(200, `${error.status} ${error.code}`);
    }
  });
  const answer = await ask(port, "/", {
    method: "POST",
    headers: { ...(type !== undefined && { "Content-Type": type }), ...headers },
    body,
  });
  return JSON.parse(`${answer.body}`);
}

test("is fields, as a form or as JSON", async () => {
  expect(await posted(form, "a=1&b=%E5%AD%97")).toEqual([
    ["a", "1"],
    ["b", "字"],
  ]);
  expect(await posted("application/json", '{"a":"1"}')).toEqual([["a", "1"]]);
  expect(await posted(`${form.toUpperCase()} ; Charset=UTF-8`, "a=1")).toEqual([["a", "1"]]);
  expect(await posted('application/json; charset="utf-8"', '{"a":"1"}')).toEqual([["a", "1"]]);
});

test("that is empty has no fields, and needs no type", async () => {
  for (const type of [undefined, form, "application/json", "image/png"])
    expect(await posted(type, "")).toEqual([]);
});

test("of any other type, character set or coding is 415", async () => {
  for (const type of [
    "text/plain",
    "multipart/form-data; boundary=x",
    "",
    `${form}x`,
    `x${form}`,
    undefined,
  ]) {
    expect(await posted(type, "a=1"), type).toBe("415 unsupported_type");
  }
  expect(await posted(`${form}; charset=utf-16`, "a=1")).toBe("415 unsupported_type");
  expect(await posted(form, "a=1", { "Content-Encoding": "gzip" })).toBe("415 unsupported_type");
});

test("that is not what its type says, or not UTF-8, is 400", async () => {
  expect(await posted(form, "a=%")).toBe("400 bad_request");
  expect(await posted("application/json", "a=1")).toBe("400 bad_request");
  expect(await posted("application/json", '{"a":1}')).toBe("400 bad_request");
  for (const bytes of [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xe5, 0xad]]) {
    expect(await posted(form, Buffer.from([0x61, 0x3d, ...bytes]))).toBe("400 bad_request");
  }
});

test("may have exactly the limit, in bytes, and not one more", async () => {
  expect(await posted(form, `a=${"x".repeat(LIMIT - 2)}`)).toHaveLength(1);
  expect(await posted(form, `a=${"x".repeat(LIMIT - 1)}`)).toBe("413 too_large");
  expect(await posted(form, `a=${"字".repeat(LIMIT / 2)}`)).toBe("413 too_large");
});

test("that is too large is 413 also in chunks, of whatever type, and its sender gets to see that", async () => {
  expect(await posted("image/png", "x".repeat(50 * LIMIT), { "Transfer-Encoding": "chunked" })).toBe(
    "413 too_large",
  );
});

test("that only claims to be huge is 413 before a byte of it was sent", async () => {
  const port = await listenRequest(async (request) => {
    const status = await request.form().then(
      () => 200,
      (error: unknown) => (error instanceof HttpError ? error.status : 500),
    );
    return json(status, "", { Connection: "close" });
  });
  const answer = await raw(port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n");
  expect(answer).toMatch(/^HTTP\/1.1 413 /);
});

test("whose sender goes away in the middle is refused", async () => {
  let form: Promise<unknown> | undefined;
  const arrived = awaited();
  const port = await listenRequest((request) => {
    form = request.form();
    arrived.resolve();
    return form.then(
      () => json(200, ""),
      () => json(400, ""),
    );
  });
  const socket = await dial(port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf");
  await arrived.promise;
  socket.destroy();
  await expect(form).rejects.toMatchObject({ status: 400, code: "bad_request" });
});

test("whose sender went away before it was asked for is refused", async () => {
  const form = awaited<unknown>();
  const arrived = awaited();
  const port = await listenRequest(async (request) => {
    arrived.resolve();
    await once(request.res, "close");
    request.form().catch(form.resolve);
    return json(200, "");
  });
  const socket = await dial(port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf");
  await arrived.promise;
  socket.destroy();
  expect(await form.promise).toMatchObject({ status: 400, code: "bad_request" });
}, 5_000);
