/** The chart in one SVG: the cost of a delivery as bars, deliveries per second as lines. For light and dark pages. */
import { median } from "./report.mjs";

const WIDTH = 760;
const LEFT = 90;
const RIGHT = 110;
const BAR = 26;
const PLOT = 300;
const COLORS = ["#868e96", "#e8590c", "#4c6ef5", "#ae3ec9", "#2f9e44", "#1098ad", "#b8860b", "#d6336c"];
const STYLE = `text { font: 13px system-ui, sans-serif; fill: #24292f; }
  .title { font-size: 15px; font-weight: 600; } .note { fill: #57606a; font-size: 12px; }
  .grid { stroke: #d0d7de; } .bar { rx: 2px; } .line { fill: none; stroke-width: 2; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .note { fill: #9198a1; } .grid { stroke: #3d444d; }
  }`;

/** Returns the SVG. Undefined unless `one` and `rate` were measured. */
export function chart(results) {
  const costs = [...(results.get("one") ?? [])]
    .map(([name, rounds]) => ({ name, cost: median(rounds.map((figures) => figures["of bare's"])) }))
    .toSorted((a, b) => a.cost - b.cost);
  const series = new Map();
  for (const [key, rounds] of results.get("rate") ?? []) {
    const [name, rate] = key.split(" ");
    const point = [Number(rate), median(rounds.map((figures) => figures["deliveries/s"]))];
    series.set(name, [...(series.get(name) ?? []), point]);
  }
  if (costs.length === 0 || series.size === 0) return undefined;
  const names = costs.map(({ name }) => name).toSorted();
  const color = (name) => COLORS[names.indexOf(name) % COLORS.length];
  const top = 60 + costs.length * BAR + 24;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top + PLOT + 122}" role="img"
  aria-label="Processor time for each delivery, and deliveries per second, of ${names.join(", ")}">
<style>${STYLE}</style>
${bars(costs, color)}
<g transform="translate(0 ${top})">
${lines([...series], color)}
</g>
</svg>
`;
}

function bars(costs, color) {
  const most = Math.max(...costs.map(({ cost }) => cost));
  const rows = costs.map(({ name, cost }, n) => {
    const width = (cost / most) * (WIDTH - LEFT - RIGHT);
    const y = 60 + n * BAR;
    return `${text(LEFT - 8, y + 15, name, "end")}
<rect class="bar" x="${LEFT}" y="${y + 2}" width="${width.toFixed(1)}" height="${BAR - 8}" fill="${color(name)}"/>
${text(LEFT + width + 8, y + 15, cost.toFixed(2))}`;
  });
  return `${text(16, 24, "Processor time of the server for each delivery, in multiples of bare node:http", "start", "title")}
${text(16, 44, "One message at a time to 1,000 clients: the reply and the next poll. Shorter is better.", "start", "note")}
${rows.join("\n")}`;
}

/** Both axes are logarithmic. */
function lines(series, color) {
  const points = series.flatMap(([, points]) => points);
  const top = 66;
  const bottom = top + PLOT;
  const [x, y] = [
    axis(
      points.map(([rate]) => rate),
      LEFT,
      WIDTH - RIGHT,
    ),
    axis(
      points.map(([, got]) => got),
      bottom,
      top,
    ),
  ];
  const grid = [
    ...x.ticks.map((rate) => text(x.at(rate), bottom + 20, rate.toLocaleString("en"), "middle")),
    ...y.ticks.map((got) => {
      const at = y.at(got).toFixed(1);
      return `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}"/>
${text(LEFT - 8, Number(at) + 4, got.toLocaleString("en"), "end")}`;
    }),
  ];
  const drawn = series.map(([name, points]) => {
    const places = points.map(([rate, got]) => [x.at(rate).toFixed(1), y.at(got).toFixed(1)]);
    const dots = places.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3" fill="${color(name)}"/>`);
    return `<polyline class="line" stroke="${color(name)}" points="${places.join(" ")}"/>\n${dots.join("")}`;
  });
  // Labels from top to bottom. One that would cover the label above it moves down.
  let last = Number.NEGATIVE_INFINITY;
  const labels = series
    .map(([name, points]) => ({ name, x: x.at(points.at(-1)[0]), y: y.at(points.at(-1)[1]) }))
    .toSorted((a, b) => a.y - b.y)
    .map((label) => {
      last = Math.max(label.y, last + 15);
      return text(label.x + 9, last + 4, label.name);
    });
  return `${text(16, 24, "Deliveries per second", "start", "title")}
${text(16, 44, "To 1,000 clients, by messages per second. Higher is better. A line ends where the rate was too high.", "start", "note")}
${[...grid, ...drawn, ...labels].join("\n")}
${text((LEFT + WIDTH - RIGHT) / 2, bottom + 42, "messages per second", "middle", "note")}`;
}

/** A logarithmic axis with a tick at every power of ten. */
function axis(values, from, to) {
  const low = Math.log10(Math.min(...values));
  const high = Math.log10(Math.max(...values));
  const at = (value) => from + ((Math.log10(value) - low) / (high - low || 1)) * (to - from);
  const powers = Array.from({ length: 10 }, (_, n) => n).filter((n) => n >= low - 0.01 && n <= high + 0.01);
  return { at, ticks: powers.map((n) => 10 ** n) };
}

function text(x, y, words, anchor = "start", style = "") {
  const escaped = words.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}"${style && ` class="${style}"`}>${escaped}</text>`;
}
