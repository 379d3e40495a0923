/** A log that clients cannot flood and cannot fill with lines of their own, and that never throws. */
import { inspect } from "node:util";

/** For how long a kind of trouble is not logged again. */
const SILENCE_MS = 60_000;
/** Line ends, and control and invisible characters. They are escaped, because a client may have chosen the text. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * Returns a log with at most one line a minute for each kind of trouble.
 * @param log may throw, or return a promise that rejects: then standard error gets a line instead
 */
export function throttledLog(log: (line: string) => unknown): (kind: string, detail: unknown) => void {
  const loggedAt = new Map<string, number>();
  // Async, so that nothing is thrown to the caller.
  return async (kind, detail) => {
    const now = performance.now();
    if (now - (loggedAt.get(kind) ?? Number.NEGATIVE_INFINITY) < SILENCE_MS) return;
    loggedAt.set(kind, now);
    try {
      const text = typeof detail === "string" ? detail : inspect(detail, { customInspect: false });
      await log(`${kind}: ${text.replace(INVISIBLE, (one) => `\\u{${one.codePointAt(0)?.toString(16)}}`)}`);
    } catch {
      console.error(`${kind}, and the log failed`);
    }
  };
}
