/** The forms of the pages, as a browser sends them. */
import type { OutgoingHttpHeaders } from "node:http";
import { ask, FORM, type Reply } from "./person.js";

/** Returns the one-time key of the form in a page. */
export function keyOf(page: string): string {
  const key = /<input type="hidden" name="key" value="([^"]+)"/.exec(page)?.[1];
  if (key === undefined) throw new Error("the page has no form with a key");
  return key;
}

/** Returns the key of a new log-in form. */
export async function loginKey(url: string, headers: OutgoingHttpHeaders = {}): Promise<string> {
  return keyOf((await ask(`${url}/login`, { headers })).body);
}

/** Sends a log-in form. */
export function submit(
  url: string,
  name: string,
  key: string,
  headers: OutgoingHttpHeaders = {},
): Promise<Reply> {
  const body = new URLSearchParams({ name, key }).toString();
  return ask(`${url}/login`, { method: "POST", headers: { ...FORM, ...headers }, body });
}
