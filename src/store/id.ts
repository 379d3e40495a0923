/** Ids that only stores need. */
import { type Id, parseId } from "../feed/id.js";

/** Returns the greatest id before `id`. */
export function idBefore(id: Id): Id {
  const [ms, n] = parseId(id);
  return n > 0 ? `${ms}-${n - 1}` : `${ms - 1}-${Number.MAX_SAFE_INTEGER}`;
}
