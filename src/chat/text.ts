/** The rules for names and messages. */

/** A valid name. */
export interface Name {
  /** The name as it is shown: in NFC, trimmed, without invisible characters, and with single spaces. */
  readonly name: string;
  /** The name in NFKC and lower case. Two names with one key are the same name. */
  readonly key: string;
}

/** The longest name, in code points. */
export const NAME_LENGTH = 32;

/**
 * The longest text that is parsed as a name, in UTF-16 units. No name of `NAME_LENGTH` characters needs more. Without this
 * bound, the normalization of combining marks takes quadratic time: 1.2 s for 64 KiB.
 */
export const MAX_RAW_NAME_LENGTH = 256;

const TOO_LONG = `A name has at most ${NAME_LENGTH} characters.`;

/**
 * Invisible characters: those that Unicode calls ignorable, unassigned ones, the object replacement character, and the
 * blank ones of braille, Brahmi, hieroglyphs, Khitan and music.
 */
const INVISIBLE =
  /[\p{Default_Ignorable_Code_Point}\p{Cn}\u2800\ufffc\u{1107f}\u{13441}\u{13442}\u{16fe4}\u{1d159}]/gu;

/** Makes the error for a text that breaks a rule. The rule is a sentence for people. */
type ToError = (rule: string) => Error;

/** Parses a name as a person typed it. Throws what `toError` returns if the name breaks a rule. */
export function parseName(raw: string, toError: ToError): Name {
  if (raw.length > MAX_RAW_NAME_LENGTH) throw toError(TOO_LONG);
  const shown = raw.replace(INVISIBLE, "").trim();
  // Format (zero-width, bidi), private use, lone surrogates, line and paragraph separators; control, as in "a\nb".
  if (/[\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/u.test(raw) || /\p{Cc}/u.test(shown)) {
    throw toError("A name has no control, invisible or private-use characters.");
  }
  const name = visible(shown).normalize("NFC");
  if (name === "") throw toError("A name needs at least one character that can be seen.");
  if (isLonger(name, NAME_LENGTH)) throw toError(TOO_LONG);
  if (name === "." || name === "..") throw toError("A name cannot be . or ..");
  if (/[/\\]/.test(name)) throw toError("A name has no slash in it.");
  return { name, key: nameKey(name) };
}

/** Returns the key of a name. A text that is too long for a name has the key `""`, which no name has. */
export function nameKey(name: string): string {
  return name.length > MAX_RAW_NAME_LENGTH ? "" : visible(name).normalize("NFKC").toLowerCase();
}

/**
 * Returns a text without invisible characters, with single spaces. This comes before normalization, because an invisible
 * character between a letter and its accent keeps the two apart.
 */
function visible(text: string): string {
  return text.replace(INVISIBLE, "").replace(/\s+/g, " ").trim();
}

/** Returns whether a text has more than `max` code points. A much longer text is not counted. */
export function isLonger(text: string, max: number): boolean {
  return text.length > max && (text.length > 2 * max || [...text].length > max);
}

/** The longest message, in code points. */
export const MESSAGE_LENGTH = 2000;

/**
 * Parses a message: line ends become `\n`, and those around it are removed. Throws what `toError` returns if the message
 * breaks a rule.
 */
export function parseText(raw: string, toError: ToError): string {
  // `(?<!\n)` keeps the time linear: only the first line end of a run is tried.
  const text = raw.replace(/\r\n?/g, "\n").replace(/^\n+|(?<!\n)\n+$/g, "");
  if (text === "") throw toError("A message needs at least one character.");
  if (isLonger(text, MESSAGE_LENGTH)) throw toError(`A message has at most ${MESSAGE_LENGTH} characters.`);
  // Cs: a lone surrogate, which UTF-8 cannot carry.
  if (/[^\P{Cc}\n\t]|\p{Cs}/u.test(text)) throw toError("A message has no control characters.");
  return text;
}
