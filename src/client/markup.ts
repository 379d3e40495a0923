/** The HTML of messages and names, the same for the pages of the server and for their script. All texts are escaped. */
import type { Strings } from "../chat/strings.js";
import type { Message } from "../store/store.js";

type Words = Strings["script"];

/** A block between fences, whose first line may name the language, or code between two backticks in one line. */
const CODE = "```(?:[\\w+#.-]*\\n)?(.+?)\\n?```|`([^`\\n]+)`";
/** Number of colours in chat.css. */
const COLOURS = 8;
/**
 * Characters that end an address: white space, quotes, brackets and invisible characters (bidi and zero-width characters
 * could make it look like another address); Arabic, Urdu and Indic punctuation; full-width punctuation; and Chinese,
 * Japanese and Korean text, which follows an address without a space.
 */
const END =
  "\\s<>\"'`\\p{C}\\p{Pi}\\p{Pf}،؛؟۔।॥\\u3000-\\u303f\\uff00-\\uffef" +
  "\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Hangul}";
/** A host begins with a letter, a digit, or `[` and the digits of IPv6. */
const HOST = `(?=[\\p{L}\\p{N}]|\\[[:\\da-f])[^${END}/?#]+`;
/** After the host, an apostrophe before a letter, digit or `_` belongs to the address. */
const ADDRESS = `https?://${HOST}(?:[/?#](?:[^${END}]|['’](?=[\\p{L}\\p{N}_]))*)?`;
const MARKED = new RegExp(`${CODE}|${ADDRESS}`, "gisu");
/** Characters that belong to the sentence around the address if they are at the end. */
const TAIL = ".,;:!?*_~…'’";
const BRACKETS = ["()", "[]", "{}"] as const;

/** Returns the classes of the item of a message. */
export function itemClass({ user, kind }: Message, self: string): string {
  return kind ? "notice" : user === self ? "own" : "";
}

/** Returns the HTML inside the item of a message. Times are UTC. */
export function itemHtml({ user, text, at, kind }: Message, words: Words): string {
  const iso = new Date(at).toISOString();
  const clock = iso.slice(11, 16).replace(/^0/, "");
  const time = `<time datetime="${iso}" title="${dateOf(at)}">${clock}</time>`;
  const name = `<bdi class="${nameClass(user)}">${escapeHtml(user)}</bdi>`;
  if (!kind) return `${name} ${time}<p dir="auto">${markup(text)}</p>`;
  return `<p>${words[kind === "join" ? "joined" : "left"].replace("{name}", () => name)}</p> ${time}`;
}

/** Returns the item of a name in the list of people, marked if it is the user's own. */
export function nameItem(name: string, self: string, { you }: Words): string {
  // A host may spell the name in another way than before.
  const keyOf = (name: string) => name.normalize("NFKC").toLowerCase();
  const mark = keyOf(name) === keyOf(self) ? ` <span class="quiet">${you}</span>` : "";
  return `<li><bdi>${escapeHtml(name)}</bdi>${mark}</li>`;
}

/** Returns a date and time in UTC. */
export function dateOf(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** Returns the HTML of a text with its links, which are http or https, and its code, without the marks of the code. */
export function markup(text: string): string {
  let html = "";
  let end = 0;
  for (const { 0: found, 1: block, 2: inline, index } of text.matchAll(MARKED)) {
    const code = block ?? inline;
    const marked = code === undefined ? trim(found) : found;
    const words = escapeHtml(code ?? marked);
    html += escapeHtml(text.slice(end, index));
    if (code !== undefined) html += `<code class="${block ? "block" : "inline"}">${words}</code>`;
    else html += `<a href="${words}" target="_blank" rel="noopener noreferrer nofollow">${words}</a>`;
    end = index + marked.length;
  }
  // A browser without styles shows no other line end.
  return (html + escapeHtml(text.slice(end))).replaceAll("\n", "<br>");
}

/** Removes punctuation at the end, and closing brackets that were opened before the address. */
function trim(found: string): string {
  const count = (sign = "") => found.split(sign).length;
  const unopened = new Map(BRACKETS.map(([open, close = ""]) => [close, count(close) - count(open)]));
  for (let end = found.length; ; end--) {
    const last = found[end - 1] ?? "";
    const surplus = unopened.get(last) ?? 0;
    if (surplus > 0) unopened.set(last, surplus - 1);
    else if (last === "" || !TAIL.includes(last)) return found.slice(0, end);
  }
}

/** Returns the classes of a name. The colour depends only on the name, so it is the same everywhere. */
export function nameClass(name: string): string {
  let hash = 0;
  for (let at = 0; at < name.length; at++) hash = (hash * 31 + name.charCodeAt(at)) % 1_000_003;
  return `user c${hash % COLOURS}`;
}
