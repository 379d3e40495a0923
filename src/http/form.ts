/** Fields of queries and bodies: form encoding (`a=1&b=2`) or an object of texts, parsed strictly. */
import { badRequest, type HttpError } from "./response.js";

/** Fields by name; of several fields with one name, the first. */
export type Fields = ReadonlyMap<string, string>;

/** A field of a longer text is copied. A slice would keep the whole text in memory. */
const MAX_SLICED_LENGTH = 1024;

const BAD_FORM = badRequest("The percent-encoding or the UTF-8 of the fields is malformed.");
const BAD_JSON = badRequest("A JSON body is one object of texts, or numbers where a number is meant.");

/** Returns the result of `parse`, or throws `error` if that throws. */
export function orThrow<T>(parse: () => T, error: HttpError): T {
  try {
    return parse();
  } catch {
    throw error;
  }
}

/** Parses a query or a form body. Throws a 400 if its percent-encoding or UTF-8 is malformed. */
export function parseForm(text: string): Fields {
  const isPlain = text.length <= MAX_SLICED_LENGTH && !text.includes("%");
  const decode = isPlain ? String : decodeURIComponent;
  const fields = new Map<string, string>();
  const add = (pair: string): void => {
    const equals = pair.indexOf("=");
    const name = decode(equals < 0 ? pair : pair.slice(0, equals));
    if (pair !== "" && !fields.has(name)) fields.set(name, equals < 0 ? "" : decode(pair.slice(equals + 1)));
  };
  orThrow(() => text.replaceAll("+", " ").split("&").forEach(add), BAD_FORM);
  return fields;
}

/** Parses a JSON body. See `toFields`. */
export function parseJson(text: string, numbers: readonly string[]): Fields {
  const value: unknown = orThrow(() => JSON.parse(text), BAD_JSON);
  return toFields(value, numbers);
}

/**
 * Returns the members of a parsed JSON value as fields. Throws a 400 unless it is an object of texts.
 * @param numbers the names of the fields that may also be numbers
 */
export function toFields(value: unknown, numbers: readonly string[]): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw BAD_JSON;
  const fields = new Map<string, string>();
  for (const [name, member] of Object.entries(value)) {
    const isField = typeof member === "string" || (typeof member === "number" && numbers.includes(name));
    if (!isField) throw BAD_JSON;
    fields.set(name, `${member}`);
  }
  return fields;
}
