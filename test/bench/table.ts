/** The figures in one table: medians, and in brackets the lowest and highest round. */
import type { Measures, Plan } from "./measures.js";
import { percentile, spread } from "./statistics.js";

/** From here on the load had no time to spare, and may be what was measured. */
const SATURATED = 0.9;

type All = ReadonlyMap<string, Measures>;
type Row = readonly string[];

export function table(all: All, { rounds }: Plan): string {
  const sections = [cpu(all), rates(all), yields(all), memory(all), hours(all)].filter(
    (rows) => rows.length > 1,
  );
  const failures = [...all].flatMap(([name, { failures }]) =>
    failures.map((line) => `${name} failed: ${line}`),
  );
  return [
    `Medians of ${rounds} rounds, in brackets the lowest and the highest.`,
    ...sections.map(aligned),
    "* The load itself was busy for more than 90 % of the time: the server may be faster than that.",
    ...failures,
  ].join("\n\n");
}

function cpu(all: All): Row[] {
  const base = all.get("bare")?.cpu;
  const rows: Row[] = [["one message at a time", "clients", "CPU µs a delivery", "of bare's"]];
  for (const count of [1000, 10_000]) {
    for (const [name, measures] of all) {
      const figures = measures.cpu.get(count);
      if (!figures) continue;
      const byRound = figures.map((figure, round) => figure / (base?.get(count)?.[round] ?? Number.NaN));
      const ratios = count === 1000 && measures.ofBare.length > 0 ? measures.ofBare : byRound;
      rows.push([name, `${count}`, spread(figures, 1), spread(ratios, 2)]);
    }
  }
  return rows;
}

function rates(all: All): Row[] {
  const head = [
    "to 1,000 clients",
    "messages/s",
    "deliveries/s",
    "lost, doubled, disordered, outstanding",
    "p50 ms",
    "p99 ms",
  ];
  const rows: Row[] = [[...head, "% of a core", "event loop p99 ms", "load busy %"]];
  for (const [name, { offered }] of all) {
    for (const [rate, got] of offered) {
      const column = (figure: (one: (typeof got)[number]) => number, digits: number) =>
        spread(got.map(figure), digits);
      const total = (figure: (one: (typeof got)[number]) => number) => Math.max(...got.map(figure));
      const busy = total(({ load }) => load);
      rows.push([
        name,
        `${rate}`,
        column((one) => one.deliveries, 0),
        [
          total((one) => one.lost),
          total((one) => one.doubled),
          total((one) => one.disordered),
          total((one) => one.outstanding),
        ].join(", "),
        column((one) => one.p50, 0),
        column((one) => one.p99, 0),
        column((one) => one.core * 100, 0),
        column((one) => one.delay, 0),
        `${column((one) => one.load * 100, 0)}${busy > SATURATED ? " *" : ""}`,
      ]);
    }
  }
  return rows;
}

function yields(all: All): Row[] {
  const rows: Row[] = [["while 10,000 are answered", "request", "p50 ms", "p99 ms", "requests"]];
  for (const [name, { others }] of all) {
    for (const request of Object.keys(others[0] ?? {})) {
      const times = others.map((one) => one[request] ?? []);
      const column = (share: number) =>
        spread(
          times.map((one) => percentile(one, share)),
          1,
        );
      rows.push([name, request, column(0.5), column(0.99), `${times.flat().length}`]);
    }
  }
  return rows;
}

function memory(all: All): Row[] {
  const rows: Row[] = [["10,000 logged in and waiting", "resident KiB each"]];
  for (const [name, { memory }] of all) if (memory.length > 0) rows.push([name, spread(memory, 1)]);
  return rows;
}

function hours(all: All): Row[] {
  const rows: Row[] = [["10,000 that wait", "figure"]];
  for (const [name, { hour, idle }] of all) {
    if (idle.length > 0)
      rows.push([
        `${name}: idle, polls of 25 s come back`,
        `${spread(
          idle.map((s) => s * 100),
          2,
        )} % of a core`,
      ]);
    if (hour.length === 0) continue;
    rows.push([
      `${name}: heap in use, before an hour's 144 polls each and after every quarter`,
      `${hour.map((kib) => kib.toFixed(1)).join(", ")} KiB each`,
    ]);
  }
  return rows;
}

function aligned(rows: readonly Row[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? "").length)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, n) => cell[n === 0 ? "padEnd" : "padStart"](widths[n] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
