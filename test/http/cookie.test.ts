/** The signed cookie: forged, truncated, swapped. */
import { expect, test } from "vitest";
import { cookieSetter, sign, unsign } from "../../src/http/cookie.js";

const secret = "the secret of this test";
const text = '["Zoë; Path=/","\0",1]';
const signed = sign(text, secret);

test.each([text, "", "x".repeat(3000), "字😀", "__proto__", "a.b.c"])(
  "the signed text %.20j is read back",
  (one) => {
    expect(unsign(sign(one, secret), [secret])).toBe(one);
  },
);

test("a signed text has only characters that a cookie may have", () => {
  expect(signed).toMatch(/^[\w-]+\.[\w-]+$/);
});

test("a signed text with one changed character is not accepted", () => {
  // The last character has two spare bits, and base64url decoders ignore them.
  for (let at = 0; at < signed.length - 1; at++) {
    const forged = signed.slice(0, at) + (signed[at] === "A" ? "B" : "A") + signed.slice(at + 1);
    expect(unsign(forged, [secret]), `changed at ${at}`).toBeUndefined();
  }
});

test("a truncated signed text is not accepted", () => {
  for (let length = 0; length < signed.length; length++) {
    expect(unsign(signed.slice(0, length), [secret]), `of length ${length}`).toBeUndefined();
  }
});

test("the signature of another text is not accepted", () => {
  const [ours = ""] = sign("ann", secret).split(".");
  const [, theirs = ""] = sign("bob", secret).split(".");
  expect(unsign(`${ours}.${theirs}`, [secret])).toBeUndefined();
});

const payload = Buffer.from("ann").toString("base64url");
test.each([
  ...["", ".", "..", payload, `${payload}.`, `.${payload}`, "\0", "字.字", "%2E", "undefined", "null"],
  ...[`${sign("ann", secret)}AAAA`, `${sign("ann", secret)}.`, "A".repeat(signed.length), ".".repeat(5000)],
])("the cookie %.50j is not accepted", (cookie) => {
  expect(unsign(cookie, [secret])).toBeUndefined();
});

test("an earlier secret is accepted, and another one is not", () => {
  const earlier = sign("ann", "earlier");
  expect(unsign(earlier, [secret, Buffer.from("earlier")])).toBe("ann");
  expect(unsign(earlier, [secret])).toBeUndefined();
  expect(unsign(earlier, [])).toBeUndefined();
});

test("a cookie is hidden from scripts and other sites, and is Secure over TLS", () => {
  const setter = (isSecure: boolean) => cookieSetter({ cookieName: (name) => name, isSecure }, "name");
  expect(setter(false)("value", 60)).toBe("name=value; Max-Age=60; HttpOnly; SameSite=Lax");
  expect(setter(true)("", 0)).toBe("name=; Max-Age=0; HttpOnly; SameSite=Lax; Secure");
});
