/** Prometheus' text format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/ */
import { type HttpResponse, text } from "./response.js";

/**
 * A counter or a gauge, of one value or of one for each value of a label. Its name says the unit, in seconds or bytes; a
 * counter's ends in `_total`. `help` is one line.
 */
export function metric(
  type: "counter" | "gauge",
  name: string,
  help: string,
  value: number | { readonly [label: string]: Readonly<Record<string, number>> },
): string {
  const samples =
    typeof value === "number"
      ? [`${name} ${value}`]
      : Object.entries(value).flatMap(([label, values]) =>
          Object.entries(values).map(([of, value]) => `${name}{${label}="${escaped(of)}"} ${value}`),
        );
  return page(type, name, help, samples);
}

/**
 * A histogram.
 * @param bounds the upper bounds of the classes, growing
 * @param counts how many were in each class, and in the one above all bounds
 */
export function histogram(
  name: string,
  help: string,
  { bounds, counts, sum }: { bounds: readonly number[]; counts: readonly number[]; sum: number },
): string {
  let count = 0;
  const buckets = counts.map((more, at) => {
    count += more;
    return `${name}_bucket{le="${bounds[at] ?? "+Inf"}"} ${count}`;
  });
  return page("histogram", name, help, [...buckets, `${name}_sum ${sum}`, `${name}_count ${count}`]);
}

/** A page of metrics. */
export function exposition(metrics: readonly string[]): HttpResponse {
  return text(200, metrics.join(""), { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" });
}

function page(type: string, name: string, help: string, samples: readonly string[]): string {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...samples, ""].join("\n");
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
