/** The two errors that end a case: a fault of the server, and a case that cannot be tried here. */

/** A fault of the server: what was sent, what the contract expects, and what came instead. */
export class Fault extends Error {
  readonly sent: string;
  readonly expected: string;
  readonly came: string;

  constructor(sent: string, expected: string, came: string) {
    super(`${sent}: expected ${expected}, came ${came}`);
    this.sent = brief(sent);
    this.expected = brief(expected);
    this.came = brief(came);
  }
}

/** Ends a case that cannot be tried here, with the reason. The case counts as neither passed nor failed. */
export class NotTried extends Error {}

/** Returns a value as one line for a terminal. */
export function show(value: unknown): string {
  return brief(typeof value === "string" ? value : (JSON.stringify(value) ?? String(value)));
}

const LONGEST = 400;

function brief(text: string): string {
  // A reply can contain control sequences, which a terminal must not execute.
  const line = text.replace(/\n$/, "").replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (sign) => {
    const code = sign.codePointAt(0) ?? 0;
    return code === 10 ? "\\n" : `\\u{${code.toString(16)}}`;
  });
  return line.length <= LONGEST ? line : `${line.slice(0, LONGEST)}… (${line.length} characters)`;
}
