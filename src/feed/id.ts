/**
 * Ids and cursors. An id is `<ms>-<n>`: two decimal integers, compared as two integers. Ids only grow.
 * Redis Streams use the same form.
 */

/** The id of an event: `<ms>-<n>`, the time in milliseconds since the Unix epoch and a counter within it. */
export type Id = `${number}-${number}`;

/** The id of the last event that a reader has seen, or `"0"`, which means the oldest kept event and all after it. */
export type Cursor = Id | "0";

/** Returns whether a text has the form of an id. An event with this id need not exist. */
export function isId(text: string): text is Id {
  // Twenty digits hold the 64 bits of a Redis id.
  return /^(0|[1-9]\d{0,19})-(0|[1-9]\d{0,19})$/.test(text);
}

/** Returns whether a text has the form of a cursor. */
export function isCursor(text: string): text is Cursor {
  return text === "0" || isId(text);
}

/** Returns whether a text is an id that is compared exactly: each of its integers is at most 2^53 - 1. */
export function isExactId(text: string): text is Id {
  return isId(text) && parseId(text).every(Number.isSafeInteger);
}

/** Returns the two integers of an id. They are exact up to 2^53 - 1, and a feed keeps no larger ones. */
export function parseId(id: Id): [ms: number, n: number] {
  const dash = id.indexOf("-");
  return [Number(id.slice(0, dash)), Number(id.slice(dash + 1))];
}

/** Returns a negative number if `a` is before `b`, zero if they are equal, and a positive number if it is after. */
export function compareIds(a: Id, b: Id): number {
  const [[aMs, aN], [bMs, bN]] = [parseId(a), parseId(b)];
  return aMs - bMs || aN - bN;
}

/**
 * Returns the next id after `last`.
 * @param now the time in milliseconds; if it is not after the time of `last`, the counter grows by one
 */
export function nextId(last: Id, now: number): Id {
  const [ms, n] = parseId(last);
  return now > ms ? `${now}-0` : `${ms}-${n + 1}`;
}
