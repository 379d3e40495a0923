/** The rules for what people write: names, and messages. */

/** A name, and the form in which two names are compared. */
export interface Name {
  /** As it is shown: NFC, trimmed, one space for a run of white space, nothing that is invisible. */
  readonly name: string;
  /** The name in NFKC and lower case: two names with the same key are the same name. */
  readonly key: string;
}

/** The longest name, in code points. */
export const NAME_LENGTH = 32;

/**
 * The longest text that is read as a name, in UTF-16 units; no name of `NAME_LENGTH` characters needs more.
 * To normalise combining marks in descending order takes quadratic time: 1.2 s for 64 KiB.
 */
export const MAX_RAW_NAME_LENGTH = 256;

const TOO_LONG = { rule: `A name has at most ${NAME_LENGTH} characters.` };

/**
 * Characters that show nothing: those that Unicode calls ignorable, those that are not assigned, and the blank ones
 * among braille, Brahmi, hieroglyphs, Khitan and music. Browsers do not paint the object replacement character.
 */
const INVISIBLE =
  /[\p{Default_Ignorable_Code_Point}\p{Cn}\u2800\ufffc\u{1107f}\u{13441}\u{13442}\u{16fe4}\u{1d159}]/gu;

/** Reads a name as a person typed it; a name that breaks a rule gives the rule. */
export function parseName(raw: string): Name | { readonly rule: string } {
  if (raw.length > MAX_RAW_NAME_LENGTH) return TOO_LONG;
  const shown = raw.replace(INVISIBLE, "").trim();
  // Format (zero-width, bidi), private use, half a character, line and paragraph separators; control, as in "a\nb".
  if (/[\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/u.test(raw) || /\p{Cc}/u.test(shown)) {
    return { rule: "A name has no control, invisible or private-use characters." };
  }
  const name = visible(shown).normalize("NFC");
  if (name === "") return { rule: "A name needs at least one character that can be seen." };
  if (isLonger(name, NAME_LENGTH)) return TOO_LONG;
  if (name === "." || name === "..") return { rule: "A name cannot be . or .." };
  if (/[/\\]/.test(name)) return { rule: "A name has no slash in it." };
  return { name, key: nameKey(name) };
}

/** The form in which two names are compared. A text that is too long for a name has the key `""`, which no name has. */
export function nameKey(name: string): string {
  return name.length > MAX_RAW_NAME_LENGTH ? "" : visible(name).normalize("NFKC").toLowerCase();
}

/**
 * A text as the eye sees it. This comes before normalising: an ignorable character between a letter and its accent
 * keeps the two apart.
 */
function visible(text: string): string {
  return text.replace(INVISIBLE, "").replace(/\s+/g, " ").trim();
}

/** Whether a text has more than `most` code points. Those of a much longer one are not counted. */
export function isLonger(text: string, most: number): boolean {
  return text.length > most && (text.length > 2 * most || [...text].length > most);
}

/** The longest message, in code points. */
export const MESSAGE_LENGTH = 2000;

/** Reads a message as it was sent; one that breaks a rule gives the rule. Line ends become `\n`. */
export function parseText(raw: string): { readonly text: string } | { readonly rule: string } {
  const text = raw.replace(/\r\n?/g, "\n").replace(/^\n+|(?<!\n)\n+$/g, "");
  if (text === "") return { rule: "A message needs at least one character." };
  if (isLonger(text, MESSAGE_LENGTH)) {
    return { rule: `A message has at most ${MESSAGE_LENGTH} characters.` };
  }
  // Cs: half of a character that UTF-8 cannot carry.
  if (/[^\P{Cc}\n\t]|\p{Cs}/u.test(text)) return { rule: "A message has no control characters." };
  return { text };
}
