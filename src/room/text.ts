/** The rules for what people write. */

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
