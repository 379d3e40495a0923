/** Signed cookies: a text, a dot, and its HMAC-SHA-256. A check needs only the secret. Their owner can read them. */
import { createHmac, timingSafeEqual } from "node:crypto";

/** Signs a text for a cookie. */
export function sign(text: string, secret: string | Uint8Array): string {
  const payload = Buffer.from(text).toString("base64url");
  return `${payload}.${createHmac("sha256", secret).update(payload).digest("base64url")}`;
}

/** Returns the text that was signed, or undefined if none of the secrets signed it. */
export function unsign(signed: string, secrets: readonly (string | Uint8Array)[]): string | undefined {
  const text = Buffer.from(signed.split(".")[0] ?? "", "base64url").toString();
  // Compared as text, because decoding accepts several spellings of one signature.
  const given = Buffer.from(signed);
  const isSigned = secrets.some((secret) => {
    const expected = Buffer.from(sign(text, secret));
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
  return isSigned ? text : undefined;
}
