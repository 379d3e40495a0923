/** The signed cookie: forged, truncated, swapped. */
import { expect, test } from "vitest";
import { setCookie, sign, unsign } from "../../src/http/cookie.js";

const secret = "the secret of this test";
const text = '["Zoë; Path=/","\0",1]';

test("what was signed here is read back, whatever it is", () => {
  for (const one of [text, "", "x".repeat(3000), "字😀", "__proto__", "a.b.c"]) {
    expect(unsign(sign(one, secret), [secret])).toBe(one);
  }
});

test("a signed text is fit for a cookie: no blank, quote, comma, semicolon or =", () => {
  expect(sign(text, secret)).toMatch(/^[\w-]+\.[\w-]+$/);
});

test("a change of any one character of the text or, but for spare bits at its end, the signature is seen", () => {
  const signed = sign(text, secret);
  for (let at = 0; at < signed.length - 1; at++) {
    const other = signed[at] === "A" ? "B" : "A";
    const forged = signed.slice(0, at) + other + signed.slice(at + 1);
    expect(unsign(forged, [secret]), `changed at ${at}`).toBeUndefined();
  }
});

test("cut off anywhere it is worth nothing", () => {
  const signed = sign(text, secret);
  for (let length = 0; length < signed.length; length++) {
    expect(unsign(signed.slice(0, length), [secret]), `of length ${length}`).toBeUndefined();
  }
});

test("the signature of one text is not that of another", () => {
  const [ours = ""] = sign("ann", secret).split(".");
  const [, theirs = ""] = sign("bob", secret).split(".");
  expect(unsign(`${ours}.${theirs}`, [secret])).toBeUndefined();
});

test("without a signature, with an empty one, a longer one or noise it is worth nothing", () => {
  const payload = Buffer.from("ann").toString("base64url");
  const { length } = sign("ann", secret);
  const bad = [
    "",
    ".",
    "..",
    payload,
    `${payload}.`,
    `.${payload}`,
    "\0",
    "字.字",
    "%2E",
    "undefined",
    "null",
  ];
  for (const cookie of [...bad, `${sign("ann", secret)}AAAA`, "A".repeat(length), ".".repeat(5000)]) {
    expect(unsign(cookie, [secret]), cookie.slice(0, 50)).toBeUndefined();
  }
});

test("an earlier secret is still good for reading; a foreign one and none are not", () => {
  const signed = sign("ann", "earlier");
  expect(unsign(signed, [secret, Buffer.from("earlier")])).toBe("ann");
  expect(unsign(signed, [secret])).toBeUndefined();
  expect(unsign(signed, [])).toBeUndefined();
});

test("a cookie is out of reach of scripts and other sites, and only over TLS when it was set over TLS", () => {
  expect(setCookie("name", "value", { maxAge: 60, secure: false })).toBe(
    "name=value; Max-Age=60; HttpOnly; SameSite=Lax",
  );
  expect(setCookie("name", "", { maxAge: 0, secure: true })).toBe(
    "name=; Max-Age=0; HttpOnly; SameSite=Lax; Secure",
  );
});
