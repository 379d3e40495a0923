/** The two errors that end a case: a fault of the server, and a case that cannot be tried here. */

/** What was sent, what the contract expects, and what came instead. */
export type Report = Readonly<Record<"sent" | "expected" | "came", string>>;

/** A fault of the server. */
export class Fault extends Error {
  readonly report: Report;

  constructor(sent: unknown, expected: unknown, came: unknown) {
    const report = { sent: show(sent), expected: show(expected), came: show(came) };
    super(`${report.sent}: expected ${report.expected}, came ${report.came}`);
    this.report = report;
  }
}

/** Ends a case that cannot be tried here, with the reason. The case counts as neither passed nor failed. */
export class NotTried extends Error {}

/** The most characters of a value that are shown. */
const LONGEST = 400;

/** Returns a value as one line for a terminal. */
export function show(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));
  // A reply can contain control sequences, which a terminal must not execute.
  const line = text.replace(/\n$/, "").replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (sign) => {
    const code = sign.codePointAt(0) ?? 0;
    return code === 10 ? "\\n" : `\\u{${code.toString(16)}}`;
  });
  return line.length <= LONGEST ? line : `${line.slice(0, LONGEST)}… (${line.length} characters)`;
}
