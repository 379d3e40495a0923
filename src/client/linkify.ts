/** Finds the links in a text. Pure, so that the server's pages have the same links as the browser. */

/** A piece of a text: words or a link. */
export interface Piece {
  readonly text: string;
  /** The address, which is http or https. Absent for words. */
  readonly href?: string;
}

/**
 * Characters that end an address: white space, quotes, brackets and invisible characters (bidi and zero-width characters
 * could make it look like another address); Arabic, Urdu and Indic punctuation; full-width punctuation; and Chinese,
 * Japanese and Korean text, which follows an address without a space.
 */
const END =
  "\\s<>\"'`\\p{C}\\p{Pi}\\p{Pf}،؛؟۔।॥\\u3000-\\u303f\\uff00-\\uffef" +
  "\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Hangul}";
/** In a path, unlike in a host, an apostrophe before a letter, digit or `_` belongs to the address. */
const ADDRESS = new RegExp(`https?://[^${END}/]+(?:/(?:[^${END}]|['’](?=[\\p{L}\\p{N}_]))*)?`, "giu");
/** Characters that belong to the sentence around the address if they are at the end. */
const TAIL = ".,;:!?*_~…'’";
const BRACKETS = ["()", "[]", "{}"] as const;

/** Splits a text into pieces; joined, they are the text. */
export function linkify(text: string): Piece[] {
  const pieces: Piece[] = [];
  let end = 0;
  for (const { 0: found, index } of text.matchAll(ADDRESS)) {
    const address = trim(found);
    if (!isAddress(address)) continue;
    if (index > end) pieces.push({ text: text.slice(end, index) });
    pieces.push({ text: address, href: address });
    end = index + address.length;
  }
  if (end < text.length) pieces.push({ text: text.slice(end) });
  return pieces;
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

function isAddress(address: string): boolean {
  try {
    return /^https?:$/.test(new URL(address).protocol);
  } catch {
    return false; // a scheme without a host
  }
}
