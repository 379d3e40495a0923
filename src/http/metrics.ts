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

/** Counts values in buckets. */
export class Histogram {
  #sum = 0;
  /** By the upper bound of a bucket: how many values are not above it. */
  readonly #counts: Map<number, number>;

  /** @param bounds the upper bounds of the buckets, growing */
  constructor(bounds: readonly number[]) {
    this.#counts = new Map([...bounds, Number.POSITIVE_INFINITY].map((bound) => [bound, 0]));
  }

  add(value: number): void {
    this.#sum += value;
    for (const [bound, count] of this.#counts) if (value <= bound) this.#counts.set(bound, count + 1);
  }

  /** The samples of the metric. */
  get samples(): Samples {
    const buckets = Array.from(this.#counts, ([bound, count]) => [
      `_bucket{le="${bound === Number.POSITIVE_INFINITY ? "+Inf" : bound}"}`,
      count,
    ]);
    const count = this.#counts.get(Number.POSITIVE_INFINITY) ?? 0;
    return { ...Object.fromEntries(buckets), _sum: this.#sum, _count: count };
  }
}
