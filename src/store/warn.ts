/** Warnings of a store to a function of the host. */

/** Returns a function that warns and never throws: if `warn` fails, the line goes to standard error. */
export function safely(warn: (line: string) => unknown): (line: string) => void {
  // Async: a promise of `warn` that rejects would end the process.
  const attempt = async (line: string): Promise<void> => void (await warn(line));
  return (line) => void attempt(line).catch(() => console.error(line));
}

/** Returns what is wrong, in words. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Node tries several addresses, and its error then has a code and no words.
  const words = error.message || ("code" in error ? String(error.code) : error.name);
  return words.replace(/\.$/, "");
}
