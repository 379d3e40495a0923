/** A log that clients cannot flood and cannot fill with lines of their own, and that never throws. */
import { inspect } from "node:util";

/** For how long a kind of trouble is not logged again. */
const SILENCE_MS = 60_000;

/**
 * Returns a log with at most one line a minute for each kind of trouble, and with the number of lines left out.
 * @param log may throw, or return a promise that rejects: then standard error gets a line instead
 */
export function throttledLog(log: (line: string) => unknown): (kind: string, detail: unknown) => void {
  const logged = new Map<string, { at: number; more: number }>();
  // Async, so that nothing is thrown to the caller.
  return async (kind, detail) => {
    const last = logged.get(kind);
    if (last && performance.now() - last.at < SILENCE_MS) {
      last.more++;
      return;
    }
    logged.set(kind, { at: performance.now(), more: 0 });
    const more = last?.more ? ` (and ${last.more} times more in the minute before)` : "";
    try {
      const text = typeof detail === "string" ? detail : inspect(detail, { customInspect: false });
      await log(`${kind}: ${printable(text)}${more}`);
    } catch {
      console.error(`${kind}, and the log failed`);
    }
  };
}

/** Escapes line ends, and control and invisible characters: a client may have chosen the text. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (one) => `\\u{${one.codePointAt(0)?.toString(16)}}`);
}
