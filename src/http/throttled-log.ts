/** A log that strangers cannot flood or fill with lines of their own, and that never throws. */
import { inspect } from "node:util";

/** How long a kind of trouble is not logged again. */
const SILENCE_MS = 60_000;

/**
 * Returns a log that has at most one line a minute for each kind of trouble, with how often it came meanwhile.
 * @param log may throw, or return a promise that rejects: then standard error gets a line instead
 */
export function throttledLog(log: (line: string) => unknown): (kind: string, detail: unknown) => void {
  const told = new Map<string, { at: number; more: number }>();
  // Async, so nothing is thrown to the caller.
  const report = async (kind: string, detail: unknown, more: string): Promise<void> => {
    const text = typeof detail === "string" ? detail : inspect(detail, { customInspect: false });
    await log(`${kind}: ${printable(text)}${more}`);
  };
  return (kind, detail) => {
    const last = told.get(kind);
    if (last && performance.now() - last.at < SILENCE_MS) {
      last.more++;
      return;
    }
    told.set(kind, { at: performance.now(), more: 0 });
    const more = last?.more ? ` (and ${last.more} times more in the minute before)` : "";
    report(kind, detail, more).catch(() => console.error(`${kind}, and the log failed`));
  };
}

/** One line, whatever a stranger made the trouble say: what would move the cursor or hide text is escaped. */
function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}
