/** A request's body, over real sockets. */
import { once } from "node:events";
import { expect, test } from "vitest";
import { HttpError, json } from "../../src/http/response.js";
import { ask, awaited, dial, listenRequest } from "./listen.js";

const LIMIT = 1000;
const FORM = "application/x-www-form-urlencoded";
const JSON_TYPE = "application/json";

/** Returns the fields of a POST, or the status and the code of its error. */
async function post(type: string | undefined, body: string | Buffer, headers = {}) {
  const port = await listenRequest(async (request) => {
    try {
      return json(200, Object.fromEntries(await request.form()));
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      return json(200, `${error.status} ${error.code}`);
    }
  });
  const all = { ...(type !== undefined && { "Content-Type": type }), ...headers };
  return JSON.parse(`${(await ask(port, "/", { method: "POST", headers: all, body })).body}`);
}

test.each([
  [FORM, "a=%E5%AD%97"],
  [`${FORM.toUpperCase()} ; Charset=UTF-8`, "a=字"],
  [JSON_TYPE, '{"a":"字"}'],
  [`${JSON_TYPE}; charset="utf-8"`, '{"a":"字"}'],
])("a body of type %s is read as fields", async (type, body) => {
  expect(await post(type, body)).toEqual({ a: "字" });
});

test.each([undefined, FORM, JSON_TYPE, "image/png"])(
  "an empty body of type %s has no field",
  async (type) => {
    expect(await post(type, "")).toEqual({});
  },
);

test.each([
  ...["text/plain", "multipart/form-data; boundary=x", "", `${FORM}x`, `x${FORM}`, undefined].map(
    (type) => [type, {}] as const,
  ),
  [`${FORM}; charset=utf-16`, {}],
  [FORM, { "Content-Encoding": "gzip" }],
] as const)("a body of type %s with %j is 415", async (type, headers) => {
  expect(await post(type, "a=1", headers)).toBe("415 unsupported_type");
});

test.each<readonly [string, string | Buffer]>([
  [FORM, "a=%"],
  [JSON_TYPE, "a=1"],
  [JSON_TYPE, '{"a":1}'],
  ...[[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80]].map((bytes) => [FORM, Buffer.from(bytes)] as const),
])("a body of type %s that is %j is 400", async (type, body) => {
  expect(await post(type, body)).toBe("400 bad_request");
});

test.each([{}, { "Transfer-Encoding": "chunked" }])(
  "a body over the limit is 413, with %j",
  async (headers) => {
    expect(await post(FORM, `a=${"x".repeat(LIMIT - 2)}`, headers)).toEqual({ a: "x".repeat(LIMIT - 2) });
    expect(await post(FORM, `a=${"x".repeat(LIMIT - 1)}`, headers)).toBe("413 too_large");
    expect(await post("image/png", "x".repeat(50 * LIMIT), headers)).toBe("413 too_large");
  },
);

test.each(["before", "after"])(
  "a body whose sender disconnects is 400 for a handler that reads it %s that",
  async (when) => {
    const form = awaited<unknown>();
    const arrived = awaited();
    const port = await listenRequest(async (request) => {
      if (when === "before") request.form().catch(form.resolve);
      arrived.resolve();
      await once(request.res, "close");
      if (when === "after") request.form().catch(form.resolve);
      return json(200, "");
    });
    const socket = await dial(port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf");
    await arrived.promise;
    socket.destroy();
    expect(await form.promise).toMatchObject({ status: 400, code: "bad_request" });
  },
);
