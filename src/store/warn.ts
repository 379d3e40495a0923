/** Warnings of a store to a function of the host. */

/** Returns a function that warns and never throws: if `warn` fails, the line goes to standard error. */
export function safely(warn: (line: string) => unknown): (line: string) => void {
  // Async: a promise of `warn` that rejects would end the process.
  const attempt = async (line: string): Promise<void> => void (await warn(line));
  return (line) => void attempt(line).catch(() => console.error(line));
}

/** Returns the message of an error. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
