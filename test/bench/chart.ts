/** Two pictures in one SVG: the cost of a delivery as bars, deliveries a second as lines. Reads well on light and dark. */
import type { Measures } from "./measures.js";
import { median } from "./statistics.js";

type All = ReadonlyMap<string, Measures>;

const WIDTH = 760;
const LEFT = 90;
const RIGHT = 110;
const BAR = 26;
const PLOT = 300;
const CLIENTS = 1000;

/** Middle tones, told apart on white and on black. */
const COLOURS = ["#e8590c", "#868e96", "#4c6ef5", "#ae3ec9", "#2f9e44", "#1098ad", "#b8860b"];

const STYLE = `text { font: 13px system-ui, sans-serif; fill: #24292f; }
  .title { font-size: 15px; font-weight: 600; } .note { fill: #57606a; font-size: 12px; }
  .grid { stroke: #d0d7de; } .bar { rx: 2px; } .line { fill: none; stroke-width: 2; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .note { fill: #9198a1; } .grid { stroke: #3d444d; }
  }`;

/** @returns the SVG; undefined when there is nothing to draw */
export function chart(all: All): string | undefined {
  const names = [...all.keys()];
  const colour = (name: string) => COLOURS[names.indexOf(name) % COLOURS.length] ?? "currentColor";
  const bars = barsOf(all, colour);
  const lines = linesOf(all, colour);
  if (!bars || !lines) return undefined;
  const height = bars.height + lines.height;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img"
  aria-label="Processor time per delivery, and deliveries a second, of ${names.join(", ")}">
<style>${STYLE}</style>
${bars.svg}
<g transform="translate(0 ${bars.height})">
${lines.svg}
</g>
</svg>
`;
}

interface Panel {
  readonly svg: string;
  readonly height: number;
}

type Colour = (name: string) => string;

function barsOf(all: All, colour: Colour): Panel | undefined {
  const costs = [...all]
    .map(([name, { ofBare, cpu }]) => ({
      name,
      cost: median(cpu.has(CLIENTS) && name === "bare" ? [1] : ofBare),
    }))
    .filter(({ cost }) => !Number.isNaN(cost))
    .toSorted((a, b) => a.cost - b.cost);
  if (costs.length === 0) return undefined;
  const most = Math.max(...costs.map(({ cost }) => cost));
  const rows = costs.map(({ name, cost }, n) => {
    const width = (cost / most) * (WIDTH - LEFT - RIGHT);
    const y = 60 + n * BAR;
    return `${text(LEFT - 8, y + 15, name, "end")}
<rect class="bar" x="${LEFT}" y="${y + 2}" width="${width.toFixed(1)}" height="${BAR - 8}" fill="${colour(name)}"/>
${text(LEFT + width + 8, y + 15, cost.toFixed(2))}`;
  });
  const svg = `${text(16, 24, "Processor time of the server per delivery, in multiples of bare node:http's", "start", "title")}
${text(16, 44, "One message at a time to 1,000 clients: the answer and the next poll. Shorter is better.", "start", "note")}
${rows.join("\n")}`;
  return { svg, height: 60 + costs.length * BAR + 24 };
}

/** Both axes are logarithmic: whoever keeps up goes straight up. */
function linesOf(all: All, colour: Colour): Panel | undefined {
  const series = [...all]
    .filter(([, { offered }]) => offered.size > 0)
    .map(([name, { offered }]) => ({
      name,
      points: [...offered].map(([rate, got]) => [rate, median(got.map((one) => one.deliveries))] as const),
    }));
  const points = series.flatMap((one) => one.points);
  if (points.length === 0) return undefined;
  const top = 66;
  const bottom = top + PLOT;
  const x = scale(
    points.map(([rate]) => rate),
    LEFT,
    WIDTH - RIGHT,
  );
  const y = scale(
    points.map(([, deliveries]) => deliveries),
    bottom,
    top,
  );
  const ends = apart(series.map(({ points }) => y.at(points.at(-1)?.[1] ?? 1)));
  const grid = [
    ...x.ticks.map((rate) => text(x.at(rate), bottom + 20, rate.toLocaleString("en"), "middle")),
    ...y.ticks.map((deliveries) => {
      const at = y.at(deliveries).toFixed(1);
      return `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}"/>
${text(LEFT - 8, Number(at) + 4, deliveries.toLocaleString("en"), "end")}`;
    }),
  ];
  // The first is drawn last, so that nothing hides it.
  const drawn = series.toReversed().map(({ name, points }) => {
    const places = points.map(
      ([rate, deliveries]) => [x.at(rate).toFixed(1), y.at(deliveries).toFixed(1)] as const,
    );
    const dots = places.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3" fill="${colour(name)}"/>`);
    return `<polyline class="line" stroke="${colour(name)}" points="${places.map((place) => place.join(",")).join(" ")}"/>
${dots.join("")}`;
  });
  const labels = series.map(({ name, points }, n) => {
    const end = x.at(points.at(-1)?.[0] ?? 1);
    return text(end + 9, (ends[n] ?? 0) + 4, name);
  });
  const svg = `${text(16, 24, "Deliveries a second", "start", "title")}
${text(16, 44, "To 1,000 clients, by messages a second that are posted. Higher is better; a line ends where more were too many.", "start", "note")}
${[...grid, ...drawn, ...labels].join("\n")}
${text((LEFT + WIDTH - RIGHT) / 2, bottom + 42, "messages a second", "middle", "note")}`;
  return { svg, height: bottom + 56 };
}

/** A logarithmic axis, with a tick at every power of ten. */
function scale(values: readonly number[], from: number, to: number) {
  const low = Math.log10(Math.min(...values));
  const high = Math.log10(Math.max(...values));
  const at = (value: number) => from + ((Math.log10(value) - low) / (high - low || 1)) * (to - from);
  const powers = Array.from({ length: 10 }, (_, n) => 10 ** n);
  return {
    at,
    ticks: powers.filter((power) => Math.log10(power) >= low - 0.01 && Math.log10(power) <= high + 0.01),
  };
}

/** Moves labels down that would lie on one another. */
function apart(places: readonly number[]): number[] {
  const moved = [...places];
  let last = Number.NEGATIVE_INFINITY;
  for (const n of [...places.keys()].toSorted((a, b) => (places[a] ?? 0) - (places[b] ?? 0))) {
    last = Math.max(places[n] ?? 0, last + 15);
    moved[n] = last;
  }
  return moved;
}

function text(x: number, y: number, words: string, anchor = "start", style = ""): string {
  const escaped = words.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}"${style && ` class="${style}"`}>${escaped}</text>`;
}
