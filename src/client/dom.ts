/** What all parts of the page use: the document, the server and the storage. */
import type { Strings } from "../chat/strings.js";
import { Backoff } from "./backoff.js";
import { type Fields, fieldsOf, type RoomOptions } from "./request.js";

/** The script's texts in the page's language, and those of errors by code. The server puts them into the page. */
export const { errors, ...words }: Strings["script"] & Pick<Strings, "errors"> = JSON.parse(
  byId("strings", HTMLScriptElement).text,
);
/** The user of this page, and the path from here to the chat's root. */
export const room: RoomOptions = { base: "../../", user: document.body.dataset.user ?? "" };

/** Returns an element of the page. @throws TypeError if there is none: script and page are of different versions */
export function byId<T extends Element>(id: string, kind: new () => T): T {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new TypeError(`the page has no ${kind.name} #${id}`);
}

/** Returns a new element with these properties and children; a string is text. */
export function make<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  properties: Partial<HTMLElementTagNameMap[Name]>,
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Name] {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

/** Returns the fields of the JSON at a URL of the chat; none if no JSON comes within ten seconds. */
export async function getJson(url: string): Promise<Fields> {
  const backoff = new Backoff(room);
  const { body } = await backoff.request(url, {}, 10_000);
  backoff.stop();
  return fieldsOf(body);
}

/** Returns the text that this tab has stored under a key, or null. It survives a reload. If `text` is given, stores it first. */
export function memory(key: string, text?: string): string | null {
  try {
    if (text !== undefined) sessionStorage.setItem(key, text);
    return sessionStorage.getItem(key);
  } catch {
    return null; // storage is forbidden or full: a reload forgets
  }
}
