import { createHmac } from "node:crypto";

/** Signs a text as the server signs the payload of a session cookie. */
export function sign(text: string, secret: string): string {
  const payload = Buffer.from(text).toString("base64url");
  return `${payload}.${createHmac("sha256", secret).update(payload).digest("base64url")}`;
}
