/** Signed cookies: a text, a dot, and its HMAC-SHA-256. The server stores nothing for them. Their owner can read them. */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { Request } from "./request.js";

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
 * Returns a function that makes `Set-Cookie` values for one cookie, also when the head of the request is freed. Without a
 * path, the cookie belongs to the folder of its URL, so it fits any mount. Without an age in seconds, it lasts until the
 * browser is closed.
 */
export function cookieSetter(
  request: Pick<Request, "cookieName" | "isSecure">,
  name: string,
): (value: string, maxAgeS?: number) => string {
  const [fullName, secure] = [request.cookieName(name), request.isSecure ? "; Secure" : ""];
  return (value, maxAgeS) => {
    const age = maxAgeS === undefined ? "" : `; Max-Age=${maxAgeS}`;
    return `${fullName}=${value}${age}; HttpOnly; SameSite=Lax${secure}`;
  };
}

function mac(payload: string, secret: string | Uint8Array): string {
  return createHmac("sha256", secret).update(payload).digest("base64url");
}
