/** Prometheus' text format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/ */

/** Values by what follows the name of the metric: a suffix, or a label in braces. */
type Samples = Readonly<Record<string, number>>;

/**
 * Returns a metric.
 * @param name with the unit, in seconds or bytes; the name of a counter ends in `_total`
 * @param help one line
 * @param value one value, or several samples
 */
export function metric(
  type: "counter" | "gauge" | "histogram",
  name: string,
  help: string,
  value: number | Samples,
): string {
  const samples = Object.entries(typeof value === "number" ? { "": value } : value);
  const lines = samples.map(([suffix, value]) => `${name}${suffix} ${value}\n`).join("");
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines}`;
}

/** Returns one sample for each value of a label. */
export function labels(label: string, values: Samples): Samples {
  // JSON escapes the same characters: backslash, quote and line end.
  const samples = Object.entries(values).map(([of, value]) => [`{${label}=${JSON.stringify(of)}}`, value]);
  return Object.fromEntries(samples);
}

/** Counts values in classes. */
export class Histogram {
  /** The sum of all values. */
  sum = 0;
  readonly #counts: number[];

  /** @param bounds the upper bounds of the classes, growing; one more class is above all bounds */
  constructor(readonly bounds: readonly number[]) {
    this.#counts = [...bounds, 0].map(() => 0);
  }

  add(value: number): void {
    const found = this.bounds.findIndex((bound) => value <= bound);
    const at = found < 0 ? this.bounds.length : found;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.sum += value;
  }

  /** The samples of the metric. */
  get samples(): Samples {
    let count = 0;
    const samples = this.#counts.map((more, at) => {
      count += more;
      return [`_bucket{le="${this.bounds[at] ?? "+Inf"}"}`, count];
    });
    return { ...Object.fromEntries(samples), _sum: this.sum, _count: count };
  }
}
