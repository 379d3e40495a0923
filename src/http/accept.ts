/** `Accept` and similar headers (RFC 9110, section 12.5), parsed leniently. */

/** How many characters of a header are read. Browsers send less than 200. */
const MAX_HEADER_LENGTH = 1_000;

/**
 * Returns the preferences in a header, in its order.
 * - `value`: a type, a language or a coding, in lower case.
 * - `q`: the quality value, 1 to 0. 0: not acceptable. NaN: malformed.
 */
export function parseAccept(header: string): { readonly value: string; readonly q: number }[] {
  return header
    .slice(0, MAX_HEADER_LENGTH)
    .toLowerCase()
    .split(",")
    .map((part) => {
      const [value = "", ...parameters] = part.split(";").map((piece) => piece.trim());
      return { value, q: Number(parameters.find((p) => p.startsWith("q="))?.slice(2) ?? 1) };
    });
}

/** Returns the quality value of a media type or a coding, 0 to 1. Of several ranges, the most specific one counts. */
export function quality(header: string, value: string): number {
  const preferences = parseAccept(header);
  const ranges = [value, `${value.split("/")[0]}/*`, "*/*"];
  const [best] = ranges.flatMap((range) => preferences.filter((preference) => preference.value === range));
  return best?.q || 0;
}
