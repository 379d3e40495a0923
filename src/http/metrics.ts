/** Prometheus' text format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/ */
import { type HttpResponse, text } from "./response.js";

/**
 * Returns a counter or a gauge: one value, or one for each value of a label.
 * @param name with the unit, in seconds or bytes; the name of a counter ends in `_total`
 * @param help one line
 */
export function metric(
  type: "counter" | "gauge",
  name: string,
  help: string,
  value: number | { readonly [label: string]: Readonly<Record<string, number>> },
): string {
  if (typeof value === "number") return page(type, name, help, [` ${value}`]);
  const samples = Object.entries(value).flatMap(([label, values]) =>
    // JSON escapes the same characters: backslash, quote and line end.
    Object.entries(values).map(([of, value]) => `{${label}=${JSON.stringify(of)}} ${value}`),
  );
  return page(type, name, help, samples);
}

/**
 * Returns a histogram.
 * @param bounds the upper bounds of the classes, growing
 * @param counts how many values are in each class, and in the one above all bounds
 */
export function histogram(
  name: string,
  help: string,
  { bounds, counts, sum }: { bounds: readonly number[]; counts: readonly number[]; sum: number },
): string {
  let count = 0;
  const samples = counts.map((more, at) => {
    count += more;
    return `_bucket{le="${bounds[at] ?? "+Inf"}"} ${count}`;
  });
  return page("histogram", name, help, [...samples, `_sum ${sum}`, `_count ${count}`]);
}

/** Returns a page of metrics. */
export function exposition(metrics: readonly string[]): HttpResponse {
  return text(200, metrics.join(""), { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" });
}

function page(type: string, name: string, help: string, samples: readonly string[]): string {
  const lines = samples.map((sample) => `${name}${sample}\n`).join("");
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines}`;
}
