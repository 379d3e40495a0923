/** Medians, ranges and the table. */
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
export function spread(figures) {
  const known = figures.filter((figure) => !Number.isNaN(figure));
  if (known.length === 0) return "–";
  const [low, middle, high] = [Math.min(...known), median(known), Math.max(...known)].map((figure) =>
    figure.toLocaleString("en", { maximumFractionDigits: figure < 10 ? 2 : figure < 100 ? 1 : 0 }),
  );
  return low === high ? middle : `${middle} (${low}–${high})`;
}

/**
 * Prints one table for each scenario.
 * @param results Map of scenario → Map of contender and label → figures of each round
 */
export function table(results) {
  for (const [scenario, rows] of results) {
    const names = [...new Set([...rows.values()].flat().flatMap(Object.keys))];
    const cells = [...rows].map(([name, rounds]) => [
      name,
      ...names.map((key) => spread(rounds.map((figures) => figures[key] ?? Number.NaN))),
    ]);
    console.log(`\n${aligned([[scenario, ...names], ...cells])}`);
  }
}

/** Lines of figures: name → figures of each round. */
export class Lines {
  #all = new Map();

  add(name, figure) {
    this.#all.set(name, [...(this.#all.get(name) ?? []), figure]);
  }

  print() {
    console.log(aligned([...this.#all].map(([name, figures]) => [name, spread(figures)])));
  }
}

function aligned(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const pad = (cell, n) => cell[n === 0 ? "padEnd" : "padStart"](widths[n]);
  return rows.map((row) => row.map(pad).join("  ")).join("\n");
}

/** Returns the builds to measure: name → folder. */
export function builds() {
  const { BASELINE } = process.env;
  const here = new URL("../../dist/", import.meta.url);
  return new Map([["holdline", here], ...(BASELINE ? [["baseline", pathToFileURL(`${BASELINE}/`)]] : [])]);
}
