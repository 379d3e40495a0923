/** Form encoding (`a=1&b=2`) of queries and bodies, parsed strictly. */

/** Fields in their order. They are a list because a poll has three, and a map would hash the name of each. */
export class Fields {
  readonly #names: string[] = [];
  readonly #values: string[] = [];

  /** How many fields there are. */
  get size(): number {
    return this.#names.length;
  }

  add(name: string, value: string): void {
    this.#names.push(name);
    this.#values.push(value);
  }

  /** Returns the value of a field; of several with one name, that of the first. */
  get(name: string): string | undefined {
    const at = this.#names.indexOf(name);
    return at < 0 ? undefined : this.#values[at];
  }

  /** Returns these fields, and others after them. */
  and(others: Fields): Fields {
    const all = new Fields();
    for (const fields of [this, others]) for (const [name, value] of fields) all.add(name, value);
    return all;
  }

  *[Symbol.iterator](): Iterator<[name: string, value: string]> {
    for (const [at, name] of this.#names.entries()) yield [name, this.#values[at] ?? ""];
  }
}

/** Parses a query or a form body. Returns undefined if its percent-encoding or UTF-8 is malformed. */
export function parseForm(text: string): Fields | undefined {
  const fields = new Fields();
  try {
    for (let start = 0; start < text.length; ) {
      const ampersand = text.indexOf("&", start);
      const end = ampersand < 0 ? text.length : ampersand;
      const pair = text.slice(start, end);
      const equals = pair.indexOf("=");
      const name = decode(equals < 0 ? pair : pair.slice(0, equals), text);
      if (pair !== "") fields.add(name, equals < 0 ? "" : decode(pair.slice(equals + 1), text));
      start = end + 1;
    }
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
  return fields;
}

/**
 * Parses the same fields from a JSON body. Returns undefined unless it is an object of texts.
 * @param numbers the names of the fields that may also be numbers
 */
export function parseJsonFields(text: string, numbers: readonly string[] = []): Fields | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // JSON.parse has no other error than malformed JSON.
    return undefined;
  }
  return objectFields(value, numbers);
}

/** Returns the fields of a value that was parsed already. */
export function objectFields(value: unknown, numbers: readonly string[] = []): Fields | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const fields = new Fields();
  for (const [name, field] of Object.entries(value)) {
    const isNumber = typeof field === "number" && numbers.includes(name);
    if (typeof field !== "string" && !isNumber) return undefined;
    fields.add(name, `${field}`);
  }
  return fields;
}

/** A field of a longer text is copied: a slice would keep the whole text in memory. */
const MAX_SLICED_LENGTH = 1024;

function decode(field: string, source: string): string {
  const spaced = field.includes("+") ? field.replaceAll("+", " ") : field;
  return spaced.includes("%") || source.length > MAX_SLICED_LENGTH ? decodeURIComponent(spaced) : spaced;
}
