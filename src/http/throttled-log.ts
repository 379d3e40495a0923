/** A log that strangers cannot flood, nor fill with lines of their own. */

/** How long the same trouble is not told again, in milliseconds. */
const SILENCE = 60_000;

/** A log that says each kind of trouble at most once a minute, with how often it came meanwhile. */
export function throttledLog(log: (line: string) => void): (kind: string, detail: string) => void {
  const told = new Map<string, { at: number; more: number }>();
  return (kind, detail) => {
    const last = told.get(kind);
    if (last && performance.now() - last.at < SILENCE) {
      last.more++;
      return;
    }
    told.set(kind, { at: performance.now(), more: 0 });
    const more = last?.more ? ` (and ${last.more} times more in the minute before)` : "";
    log(`${kind}: ${printable(detail)}${more}`);
  };
}

/** One line, whatever a stranger made the trouble say: what would move the cursor or hide text is escaped. */
function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}
