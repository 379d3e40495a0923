/**
 * Ids: `<ms>-<n>`, two decimal integers compared as two integers, never going back. They are Redis Streams'
 * ids, so a cursor means the same whatever store is behind the room.
 */

/** `<ms>-<n>`: the time a message was kept (milliseconds since the Unix epoch), and a counter within it. */
export type Id = `${number}-${number}`;

// Twenty digits are what Redis' 64 bits need. Above 2^53 a number is only near, but so is no id of ours.
const SHAPE = /^(0|[1-9]\d{0,19})-(0|[1-9]\d{0,19})$/;

/** Whether a text from outside has the shape of an id; says nothing of whether it was ever given out. */
export function isId(text: string): text is Id {
  return SHAPE.test(text);
}

/** The id's two integers: milliseconds and counter. */
export function parseId(id: Id): [ms: number, n: number] {
  const dash = id.indexOf("-");
  return [Number(id.slice(0, dash)), Number(id.slice(dash + 1))];
}

/** Negative, zero or positive as `a` is before, equal to or after `b`. */
export function compareIds(a: Id, b: Id): number {
  if (a === b) return 0;
  const [aMs, aN] = parseId(a);
  const [bMs, bN] = parseId(b);
  return aMs - bMs || aN - bN;
}

/** The id after `last` at the time `now` (milliseconds). A clock that stands still or went back counts on in `n`. */
export function nextId(last: Id, now: number): Id {
  const [ms, n] = parseId(last);
  return now > ms ? `${now}-0` : `${ms}-${n + 1}`;
}

/** The greatest id before `id`. */
export function idBefore(id: Id): Id {
  const [ms, n] = parseId(id);
  return n > 0 ? `${ms}-${n - 1}` : `${ms - 1}-${Number.MAX_SAFE_INTEGER}`;
}
