/** Fields of queries and bodies: form encoding (`a=1&b=2`) or an object of texts, parsed strictly. */

import { HttpError } from "./response.js";

type Pair = readonly [name: string, value: string];

/** Fields in their order. A list, because a poll has three fields, and a map would hash each name. */
export class Fields {
  constructor(readonly pairs: readonly Pair[] = []) {}

  /** Returns the value of a field; of several fields with one name, that of the first. */
  get(name: string): string | undefined {
    return this.pairs.find(([own]) => own === name)?.[1];
  }

  /** Returns these fields, followed by others. */
  and({ pairs }: Fields): Fields {
    return pairs.length === 0 ? this : new Fields([...this.pairs, ...pairs]);
  }
}

/** A field of a longer text is copied. A slice would keep the whole text in memory. */
const MAX_SLICED_LENGTH = 1024;

const BAD_FORM = new HttpError(
  400,
  "bad_request",
  "The percent-encoding or the UTF-8 of the fields is malformed.",
);
const BAD_JSON = new HttpError(400, "bad_request", "A JSON body is one object whose values are all texts.");

/** Parses a query or a form body. Throws a 400 if its percent-encoding or UTF-8 is malformed. */
export function parseForm(text: string): Fields {
  const decode = (field: string): string => {
    const spaced = field.includes("+") ? field.replaceAll("+", " ") : field;
    return spaced.includes("%") || text.length > MAX_SLICED_LENGTH ? decodeURIComponent(spaced) : spaced;
  };
  const pairs: Pair[] = [];
  try {
    for (const pair of text.split("&")) {
      const equals = pair.indexOf("=");
      if (equals >= 0) pairs.push([decode(pair.slice(0, equals)), decode(pair.slice(equals + 1))]);
      else if (pair !== "") pairs.push([decode(pair), ""]);
    }
  } catch {
    // `decodeURIComponent` throws only for malformed text.
    throw BAD_FORM;
  }
  return new Fields(pairs);
}

/** Parses a JSON body. See `toFields`. */
export function parseJson(text: string, numbers: readonly string[]): Fields {
  try {
    return toFields(JSON.parse(text), numbers);
  } catch {
    throw BAD_JSON;
  }
}

/**
 * Returns the members of a parsed JSON value as fields. Throws a 400 unless it is an object of texts.
 * @param numbers the names of the fields that may also be numbers
 */
export function toFields(value: unknown, numbers: readonly string[]): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw BAD_JSON;
  const pairs: Pair[] = [];
  for (const [name, member] of Object.entries(value)) {
    const isField = typeof member === "string" || (typeof member === "number" && numbers.includes(name));
    if (!isField) throw BAD_JSON;
    pairs.push([name, `${member}`]);
  }
  return new Fields(pairs);
}
