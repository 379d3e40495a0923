/** What all parts of the page use: the document, the server and the storage. Text is inserted as text, never as HTML. */
import type { Strings } from "../chat/strings.js";
import { Backoff } from "./backoff.js";
import { markup } from "./markup.js";
import type { RoomOptions } from "./options.js";
import { type Fields, fieldsOf, roomUrl } from "./request.js";

const TIMEOUT_MS = 10_000;

/** The script's texts in the page's language. The server puts them into the page. */
type Words = Strings["script"] & { readonly errors: Strings["errors"] };

export const words: Words = JSON.parse(byId("strings", HTMLScriptElement).text);
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

/** Replaces the children of an element. Not `replaceChildren`, which Safari has from version 14 on. */
export function fill(element: Element, ...children: (Node | string)[]): void {
  element.textContent = "";
  element.append(...children);
}

/** Returns a message's text with its links and code. The first letter of each line sets the direction of that line. */
export function paragraph(text: string): HTMLParagraphElement {
  const pieces = markup(text).map(({ text: piece, href, code }) => {
    if (code) return make("code", { className: code }, piece);
    if (href === undefined) return piece;
    return make("a", { href, target: "_blank", rel: "noopener noreferrer nofollow" }, piece);
  });
  return make("p", { dir: "auto" }, ...pieces);
}

/** Returns the fields of the JSON of a route of the chat; none if no JSON comes within ten seconds. */
export async function getJson(path: string): Promise<Fields> {
  const loop = new Backoff(room);
  const { body } = await loop.request(roomUrl(room.base, path), {}, TIMEOUT_MS);
  loop.stop();
  return fieldsOf(body);
}

/** Texts that this tab remembers over a reload. */
export const memory = {
  /** Returns the text under a key, or undefined. */
  get: (key: string) => tryStorage(() => sessionStorage.getItem(key)) ?? undefined,
  /** Stores a text under a key; an empty text removes it. */
  set: (key: string, text: string) =>
    tryStorage(() => (text ? sessionStorage.setItem(key, text) : sessionStorage.removeItem(key))),
};

function tryStorage<T>(use: () => T): T | undefined {
  try {
    return use();
  } catch {
    return undefined; // storage is forbidden or full: a reload forgets
  }
}
