/** Where the links are in a text. Pure, so that the server's pages have the same links as those made in the browser. */

/** A piece of a text: words, or an address that may be followed. */
export interface Piece {
  readonly text: string;
  /** Absent for words. Only ever http or https. */
  readonly href?: string;
}

/**
 * An address ends at white space, at quotes and angle brackets, and at what cannot be seen (bidi and zero-width
 * characters could make it look like another). It also ends at Chinese, Japanese and Korean text, which is written
 * without spaces, so that the words behind an address are not taken for a part of it.
 */
const ADDRESS =
  /https?:\/\/[^\s<>"'`\p{C}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303f\uff00-\uffef“”‘’]+/giu;
/** What mostly belongs to the sentence around. */
const TAIL = ".,;:!?*_~…";
const BRACKETS = ["()", "[]", "{}"] as const;

/** Splits a text into pieces which, one after the other, are that text. */
export function linkify(text: string): Piece[] {
  const pieces: Piece[] = [];
  let done = 0;
  for (const { 0: found, index } of text.matchAll(ADDRESS)) {
    const address = trim(found);
    if (!isAddress(address)) continue;
    if (index > done) pieces.push({ text: text.slice(done, index) });
    pieces.push({ text: address, href: address });
    done = index + address.length;
  }
  if (done < text.length) pieces.push({ text: text.slice(done) });
  return pieces;
}

/** Without punctuation at the end, and without closing brackets that were opened before the address. */
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
    return false; // a scheme and no host: words after all
  }
}
