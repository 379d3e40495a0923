/** Many latencies in little room. */

/** From here on all are the same, in milliseconds. */
const LONGEST = 60_000;

/** Latencies, to a tenth of a millisecond. */
export class Histogram {
  readonly #counts = new Uint32Array(LONGEST * 10);
  #total = 0;

  add(ms: number): void {
    const at = Math.min(this.#counts.length - 1, Math.max(0, Math.floor(ms * 10)));
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#total++;
  }

  clear(): void {
    this.#counts.fill(0);
    this.#total = 0;
  }

  /** In milliseconds; NaN when there is nothing. @param share 0 to 1 */
  percentile(share: number): number {
    if (this.#total === 0) return Number.NaN;
    let left = this.#total * share;
    const at = this.#counts.findIndex((count) => {
      left -= count;
      return left <= 0;
    });
    return at / 10;
  }
}
