/** Signed cookies: a text, a dot, and its HMAC-SHA-256. The server stores nothing for them. Their owner can read them. */
import { createHmac, timingSafeEqual } from "node:crypto";

/** Signs a text for a cookie. */
export function sign(text: string, secret: string | Uint8Array): string {
  const payload = Buffer.from(text).toString("base64url");
  return `${payload}.${mac(payload, secret)}`;
}

/** Returns the text that was signed, or undefined if none of the secrets signed it. */
export function unsign(signed: string, secrets: readonly (string | Uint8Array)[]): string | undefined {
  const dot = signed.indexOf(".");
  const payload = signed.slice(0, dot);
  // Compared as text, because decoding accepts several spellings of one signature.
  const given = Buffer.from(signed.slice(dot + 1));
  const isSigned = secrets.some((secret) => {
    const expected = Buffer.from(mac(payload, secret));
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
  return isSigned ? Buffer.from(payload, "base64url").toString() : undefined;
}

/**
 * Returns a `Set-Cookie` value. Without a path, the cookie belongs to the folder of its URL, so it fits any mount.
 * @param options `maxAge` is in seconds; without it the cookie lasts until the browser is closed
 */
export function setCookie(
  name: string,
  value: string,
  options: { maxAge?: number; secure: boolean },
): string {
  const age = options.maxAge === undefined ? "" : `; Max-Age=${options.maxAge}`;
  return `${name}=${value}${age}; HttpOnly; SameSite=Lax${options.secure ? "; Secure" : ""}`;
}

function mac(payload: string, secret: string | Uint8Array): string {
  return createHmac("sha256", secret).update(payload).digest("base64url");
}
