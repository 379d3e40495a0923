/** Medians and ranges, as they are printed. */

/** NaN when there are none. */
export function median(figures: readonly number[]): number {
  const sorted = figures.toSorted((a, b) => a - b);
  const at = (place: number) => sorted[place] ?? Number.NaN;
  return (at((sorted.length - 1) >> 1) + at(sorted.length >> 1)) / 2;
}

/** The share of the figures that are no greater. @param share 0 to 1 */
export function percentile(figures: readonly number[], share: number): number {
  const sorted = figures.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** The median, and the range if there is one; "–" for nothing. @param digits after the point */
export function spread(figures: readonly number[], digits: number): string {
  const known = figures.filter((figure) => !Number.isNaN(figure));
  if (known.length === 0) return "–";
  const text = (figure: number) =>
    figure.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const [low, middle, high] = [Math.min(...known), median(known), Math.max(...known)].map(text);
  return low === high ? `${middle}` : `${middle} (${low}–${high})`;
}
