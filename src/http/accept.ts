/** `Accept` and similar headers (RFC 9110, section 12.5), parsed leniently. */

/** How many characters of a header are read. Browsers send less than 200. */
const MAX_LENGTH = 1_000;

/**
 * Returns the preferences in a header, in its order.
 * - `value`: a type, a language or a coding, in lower case.
 * - `q`: the quality value, 0 to 1 if the header is valid. 0: not acceptable. NaN: malformed.
 */
export function parseAccept(header: string): { readonly value: string; readonly q: number }[] {
  const parts = header.slice(0, MAX_LENGTH).toLowerCase().split(",");
  return parts.map((part) => {
    const [value = "", ...parameters] = part.split(";").map((piece) => piece.trim());
    return { value, q: Number(parameters.find((p) => p.startsWith("q="))?.slice(2) ?? 1) };
  });
}

/** Returns the quality value of a media type or a coding that a header names; 0 if it names it not at all. */
export function quality(header: string, value: string): number {
  return parseAccept(header).find((preference) => preference.value === value)?.q || 0;
}
