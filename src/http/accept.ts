/** What a caller would like to get: `Accept` and its kin (RFC 9110, 12.5), read leniently. */

export interface Preference {
  /** A type, a language or a coding, in lower case. */
  readonly value: string;
  /** How much it is wanted, 1 to 0, which is not at all. NaN: nonsense. */
  readonly q: number;
}

/** How much of a header is read, in characters. Browsers send less than 200. */
const HEADER_LENGTH = 1_000;

/** The parseAccept in a header, in its order. */
export function parseAccept(header: string): Preference[] {
  return header
    .slice(0, HEADER_LENGTH)
    .toLowerCase()
    .split(",")
    .map((wish) => {
      const [value = "", ...parameters] = wish.split(";").map((piece) => piece.trim());
      return { value, q: Number(parameters.find((p) => p.startsWith("q="))?.slice(2) ?? 1) };
    });
}

/** How much a media type is wanted, 0 to 1; of several ranges that fit, the most specific one says. */
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
