/** The report as text. */
import type { Result } from "./runner.js";

const MARKS = { passed: "ok  ", failed: "FAIL", "not tried": "-   " } as const;

/** Returns the results by topic. A failure shows what was sent, expected and received, and the section of the contract. */
export function table(results: readonly Result[]): string {
  const lines: string[] = [];
  let topic = "";
  for (const result of results) {
    if (result.topic !== topic) lines.push("", result.topic);
    topic = result.topic;
    lines.push(
      `  ${MARKS[result.status]} ${result.name}${result.reason ? ` (not tried: ${result.reason})` : ""}`,
    );
    if (result.status === "failed") {
      lines.push(
        `         sent      ${result.sent}`,
        `         expected  ${result.expected}`,
        `         came      ${result.came}`,
        `         contract  ${result.section}`,
      );
    }
  }
  return lines.join("\n");
}

export function counts(results: readonly Result[]): { passed: number; failed: number; notTried: number } {
  const of = (status: Result["status"]) => results.filter((result) => result.status === status).length;
  return { passed: of("passed"), failed: of("failed"), notTried: of("not tried") };
}
