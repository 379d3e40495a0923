/** `Accept` and similar headers (RFC 9110, section 12.5), parsed leniently. */

export interface Preference {
  /** A type, a language or a coding, in lower case. */
  readonly value: string;
  /** The quality value, 1 to 0. 0: not acceptable. NaN: malformed. */
  readonly q: number;
}

/** How many characters of a header are read. Browsers send less than 200. */
const MAX_HEADER_LENGTH = 1_000;

/** Returns the preferences in a header, in its order. */
export function parseAccept(header: string): Preference[] {
  return header
    .slice(0, MAX_HEADER_LENGTH)
    .toLowerCase()
    .split(",")
    .map((part) => {
      const [value = "", ...parameters] = part.split(";").map((piece) => piece.trim());
      return { value, q: Number(parameters.find((p) => p.startsWith("q="))?.slice(2) ?? 1) };
    });
}

/** Returns the quality value of a media type, 0 to 1; of several ranges that match, the most specific one counts. */
export function quality(accept: string, type: string): number {
  const ranges = [type, `${type.split("/")[0]}/*`, "*/*"];
  let best = ranges.length;
  let wanted = 0;
  for (const { value, q } of parseAccept(accept)) {
    const specificity = ranges.indexOf(value);
    if (specificity < 0 || specificity > best) continue;
    best = specificity;
    wanted = Number.isNaN(q) ? 0 : q;
  }
  return wanted;
}
