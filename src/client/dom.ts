/** The few things every part of the page does with the document. Text goes in as text, never as HTML. */
import type { Strings } from "../chat/strings.js";
import { linkify } from "./linkify.js";

/** What the script says, in the page's language; the server puts it into the page. */
export type Words = Strings["script"] & { readonly errors: Strings["errors"] };

/** Our element with this id. Throws if the page has none of that kind: script and page are not of one version. */
export function byId<T extends Element>(id: string, kind: new () => T): T {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new TypeError(`the page has no ${kind.name} #${id}`);
}

/** A new element of a class (or none, ""), with children; a string is text. */
export function make<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  className: string,
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** What somebody said, with its links. Each line takes its direction from its own first letter. */
export function paragraph(text: string): HTMLParagraphElement {
  const p = make("p", "");
  p.dir = "auto";
  for (const { text: words, href } of linkify(text)) {
    if (href === undefined) {
      p.append(words);
      continue;
    }
    const link = make("a", "", words);
    link.href = href;
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
    p.append(link);
  }
  return p;
}

/** What this tab remembers over a reload. */
export const memory = {
  /** What was kept under a key, or undefined. */
  get(key: string): string | undefined {
    try {
      return sessionStorage.getItem(key) ?? undefined;
    } catch {
      return undefined; // storage may be forbidden; then a reload forgets
    }
  },
  /** Keeps a text under a key; an empty one is forgotten. */
  set(key: string, text: string): void {
    try {
      if (text) sessionStorage.setItem(key, text);
      else sessionStorage.removeItem(key);
    } catch {
      // forbidden or full; then a reload forgets
    }
  },
};
