/** Prometheus' text format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/ */
import type { Reply } from "./reply.js";

/** One metric. Its name says the unit, in seconds or bytes; a counter's ends in `_total`. */
export interface Metric {
  readonly name: string;
  /** One line. */
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly samples: readonly Sample[];
}

interface Sample {
  readonly value: number;
  /** Names must be good for Prometheus; values may be any text. */
  readonly labels?: Readonly<Record<string, string>>;
  /** What a histogram's sample is: `_bucket`, `_sum` or `_count`. */
  readonly suffix?: string;
}

/** A counter or a gauge, of one value or of one for each value of a label. */
export function metric(
  type: "counter" | "gauge",
  name: string,
  help: string,
  value: number | { readonly [label: string]: Readonly<Record<string, number>> },
): Metric {
  if (typeof value === "number") return { name, help, type, samples: [{ value }] };
  const samples = Object.entries(value).flatMap(([label, values]) =>
    Object.entries(values).map(([of, value]) => ({ value, labels: { [label]: of } })),
  );
  return { name, help, type, samples };
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
): Metric {
  let count = 0;
  const buckets = counts.map((more, at) => {
    count += more;
    return { suffix: "_bucket", labels: { le: `${bounds[at] ?? "+Inf"}` }, value: count };
  });
  const samples = [...buckets, { suffix: "_sum", value: sum }, { suffix: "_count", value: count }];
  return { name, help, type: "histogram", samples };
}

/** A page of metrics. */
export function exposition(metrics: readonly Metric[]): Reply {
  return {
    status: 200,
    headers: { "Content-Type": "text/plain; version=0.0.4; charset=utf-8", "Cache-Control": "no-store" },
    body: metrics.map(page).join(""),
  };
}

function page({ name, help, type, samples }: Metric): string {
  const lines = samples.map(({ suffix = "", labels = {}, value }) => {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
    return `${name}${suffix}${pairs.length > 0 ? `{${pairs.join(",")}}` : ""} ${value}`;
  });
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines, ""].join("\n");
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
