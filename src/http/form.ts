/** Form encoding (`a=1&b=2`), as queries and bodies have it, read strictly. */

/** Fields by name; of fields with one name, the first. */
export type Fields = ReadonlyMap<string, string>;

/** Reads a query or a form body. Undefined when its percent-encoding or the UTF-8 within is broken. */
export function parseForm(text: string): Fields | undefined {
  const fields = new Map<string, string>();
  if (text === "") return fields;
  try {
    for (let start = 0; start < text.length; ) {
      const end = indexOf(text, "&", start, text.length);
      const equals = indexOf(text, "=", start, end);
      const name = decode(text.slice(start, equals));
      if (end > start && !fields.has(name)) fields.set(name, decode(text.slice(equals + 1, end)));
      start = end + 1;
    }
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
  return fields;
}

/** Reads the same fields from a JSON body. Undefined unless it is one object of texts. */
export function parseJsonFields(text: string): Fields | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The only error of JSON.parse is that this is not JSON.
    return undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const fields = new Map<string, string>();
  for (const [name, field] of Object.entries(value)) {
    if (typeof field !== "string") return undefined;
    fields.set(name, field);
  }
  return fields;
}

/** Where a character is, or `end` when it is not before that. No arrays of pairs: every poll has a query. */
function indexOf(text: string, character: string, start: number, end: number): number {
  const at = text.indexOf(character, start);
  return at < 0 || at > end ? end : at;
}

function decode(text: string): string {
  const spaced = text.includes("+") ? text.replaceAll("+", " ") : text;
  return spaced.includes("%") ? decodeURIComponent(spaced) : spaced;
}
