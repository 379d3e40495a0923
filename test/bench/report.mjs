/** Medians, ranges and tables, and the builds to measure. */
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

export function median(figures) {
  const sorted = figures.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

/** @param share 0 to 1 */
export function percentile(figures, share) {
  return figures.toSorted((a, b) => a - b)[Math.min(figures.length - 1, Math.floor(figures.length * share))];
}

/** Returns the median, with the lowest and the highest figure if they differ. */
function spread(figures) {
  const known = figures.filter((figure) => !Number.isNaN(figure));
  if (known.length === 0) return "";
  const [low, middle, high] = [Math.min(...known), median(known), Math.max(...known)].map((figure) =>
    figure.toLocaleString("en", { maximumFractionDigits: figure < 10 ? 2 : figure < 100 ? 1 : 0 }),
  );
  return low === high ? middle : `${middle} (${low}–${high})`;
}

/** A table of figures: row → the figures of each round, by column. */
export class Table {
  rows = new Map();

  add(row, figures) {
    this.rows.set(row, [...(this.rows.get(row) ?? []), figures]);
  }

  /** Prints the table in Markdown. With FILL=1, it replaces the one under `<!-- title -->` in a document. */
  print(title) {
    const columns = [...new Set([...this.rows.values()].flat().flatMap(Object.keys))];
    const cells = [...this.rows].map(([row, rounds]) => [
      row,
      ...columns.map((column) => spread(rounds.map((figures) => figures[column] ?? Number.NaN))),
    ]);
    const head = [
      ["", ...columns],
      ["---", ...columns.map(() => "---:")],
    ];
    const lines = [...head, ...cells].map((row) => `| ${row.join(" | ")} |\n`).join("");
    console.log(`\n<!-- ${title} -->\n${lines}`);
    if (!process.env.FILL) return;
    for (const name of ["measurements", "cluster"]) {
      const file = new URL(`../../docs/${name}.md`, import.meta.url);
      const under = new RegExp(`(<!-- ${title} -->\n)(\\|.*\n)*`);
      writeFileSync(
        file,
        readFileSync(file, "utf8").replace(under, (_, mark) => mark + lines),
      );
    }
  }
}

/** Returns the builds to measure, name → folder: this one, and that of the variable BASELINE. */
export function builds() {
  const { BASELINE } = process.env;
  const here = new URL("../../dist/", import.meta.url);
  return new Map([["holdline", here], ...(BASELINE ? [["baseline", pathToFileURL(`${BASELINE}/`)]] : [])]);
}
