/**
 * The one-time key of a log-in form: signed, good for a day, and stored nowhere. It holds a random form id, which becomes
 * the start of the session's id; so whoever sends one form twice is recognised, on any process.
 */
import { randomBytes } from "node:crypto";
import { sign, unsign } from "../http/cookie.js";
import { FORM_ID_LENGTH } from "../store/cluster.js";
import type { Secrets } from "./options.js";

/** How long a form may be sent, in milliseconds: a day. */
const MAX_AGE_MS = 24 * 3_600_000;
/** The longest text that is verified; a key has 91 characters. */
const KEY_LENGTH = 128;

/** Returns `FORM_ID_LENGTH` random characters: 96 bits in base64url. */
export function randomId(): string {
  return randomBytes((FORM_ID_LENGTH / 4) * 3).toString("base64url");
}

/** Makes a key for a new form. */
export function makeFormKey(secrets: Secrets): string {
  return sign(`form ${Date.now()} ${randomId()}`, secrets[0]);
}

/** The form id in a key, or undefined for a key that is not ours or too old. A session cookie is no key: it holds JSON. */
export function readFormKey(key: string, secrets: Secrets): string | undefined {
  const text = key.length <= KEY_LENGTH ? unsign(key, secrets) : undefined;
  const [, made, id] = /^form (\d+) ([\w-]+)$/.exec(text ?? "") ?? [];
  return Date.now() - Number(made) <= MAX_AGE_MS ? id : undefined;
}
