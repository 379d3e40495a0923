/** The rules for what people write: names, and messages. */

/** A name, and the form in which two names are compared. */
export interface Name {
  /** As it is shown: NFC, trimmed. */
  readonly name: string;
  /** NFKC and lower case, without what shows nothing: two names with the same key are the same name. */
  readonly key: string;
}

/** The longest name, in code points. */
export const NAME_LENGTH = 32;

/** Reads a name as a person typed it; a name that breaks a rule gives the rule. */
export function parseName(raw: string): Name | { readonly rule: string } {
  const name = raw.normalize("NFC").trim();
  if (/^\p{Default_Ignorable_Code_Point}*$/u.test(name))
    return { rule: "A name needs at least one character." };
  if ([...name].length > NAME_LENGTH) return { rule: `A name has at most ${NAME_LENGTH} characters.` };
  if (name === "." || name === "..") return { rule: "A name cannot be . or .." };
  if (/[/\\]/.test(name)) return { rule: "A name has no slash in it." };
  // Control, format (zero-width, bidi), private use, half a character, line and paragraph separators.
  if (/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/u.test(name)) {
    return { rule: "A name has no control, invisible or private-use characters." };
  }
  return { name, key: nameKey(name) };
}

/** The form in which two names are compared. Characters that show nothing make no difference, as they could deceive. */
export function nameKey(name: string): string {
  return name
    .normalize("NFKC")
    .toLowerCase()
    .replace(/\p{Default_Ignorable_Code_Point}/gu, "");
}

/** The longest message, in code points. */
export const MESSAGE_LENGTH = 2000;

/** Reads a message as it was sent; one that breaks a rule gives the rule. Line ends become `\n`. */
export function parseText(raw: string): { readonly text: string } | { readonly rule: string } {
  const text = raw.replace(/\r\n?/g, "\n").replace(/^\n+|(?<!\n)\n+$/g, "");
  if (text === "") return { rule: "A message needs at least one character." };
  if (text.length > MESSAGE_LENGTH && [...text].length > MESSAGE_LENGTH) {
    return { rule: `A message has at most ${MESSAGE_LENGTH} characters.` };
  }
  // Cs: half of a character that UTF-8 cannot carry.
  if (/[^\P{Cc}\n\t]|\p{Cs}/u.test(text)) return { rule: "A message has no control characters." };
  return { text };
}
