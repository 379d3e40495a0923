/** What a case says when the server is wrong, and when there is nothing to say: both are values that end it. */

/** What was sent, what the contract expects, and what came instead. */
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

/** A case that cannot be tried here, and why. It counts as neither passed nor failed. */
export class NotTried extends Error {}

/** A value as one line that fits a terminal. */
export function show(value: unknown): string {
  return brief(typeof value === "string" ? value : (JSON.stringify(value) ?? String(value)));
}

const LONGEST = 400;

function brief(text: string): string {
  // What a server says may hold anything; a terminal must not obey it.
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (sign) => {
    const code = sign.codePointAt(0) ?? 0;
    return code === 10 ? "\\n" : `\\u{${code.toString(16)}}`;
  });
  return line.length <= LONGEST ? line : `${line.slice(0, LONGEST)}… (${line.length} characters)`;
}
