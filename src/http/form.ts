/** Form encoding (`a=1&b=2`), as queries and bodies have it, read strictly. */

/** Fields by name; of fields with one name, the first. */
export type Fields = ReadonlyMap<string, string>;

/** Reads a query or a form body. Undefined when its percent-encoding or the UTF-8 within is broken. */
export function parseForm(text: string): Fields | undefined {
  const fields = new Map<string, string>();
  if (text === "") return fields;
  try {
    for (let start = 0; start < text.length; ) {
      const ampersand = text.indexOf("&", start);
      const end = ampersand < 0 ? text.length : ampersand;
      const pair = text.slice(start, end);
      const equals = pair.indexOf("=");
      const name = decode(equals < 0 ? pair : pair.slice(0, equals), text);
      if (pair !== "" && !fields.has(name))
        fields.set(name, equals < 0 ? "" : decode(pair.slice(equals + 1), text));
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
  return objectFields(value);
}

/** The same of a value that was parsed already. */
export function objectFields(value: unknown): Fields | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const fields = new Map<string, string>();
  for (const [name, field] of Object.entries(value)) {
    if (typeof field !== "string") return undefined;
    fields.set(name, field);
  }
  return fields;
}

/** Of a longer text, a field is copied: as a slice it would keep all of the text in memory for as long as it lives. */
const SLICED = 1024;

function decode(field: string, source: string): string {
  const spaced = field.includes("+") ? field.replaceAll("+", " ") : field;
  return spaced.includes("%") || source.length > SLICED ? decodeURIComponent(spaced) : spaced;
}
