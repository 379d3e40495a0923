/** The chart, an SVG for light and dark pages: bars of the processor time for each delivery, and of the most deliveries. */
import { writeFileSync } from "node:fs";
import { median } from "./report.mjs";

const LEFT = 90;
const LONGEST = 540;
const BAR = 26;
const COLORS = { holdline: "#4c6ef5", feed: "#1098ad", baseline: "#748ffc" };
const STYLE = `text { font: 13px system-ui, sans-serif; fill: #24292f; }
  .title { font-size: 15px; font-weight: 600; } .note { fill: #57606a; font-size: 12px; }
  @media (prefers-color-scheme: dark) { text { fill: #e6edf3; } .note { fill: #9198a1; } }`;

/** With FILL=1, writes the chart of the documents, if the scenarios `one` and `rate` were measured. */
export function chart(results) {
  if (!(process.env.FILL && results.has("one") && results.has("rate"))) return;
  const costs = new Map();
  for (const [name, rounds] of results.get("one").rows)
    costs.set(name, median(rounds.map((figures) => figures["of bare's"])));
  const peaks = new Map();
  for (const [row, rounds] of results.get("rate").rows) {
    const [name] = row.split(" ");
    const rate = median(rounds.map((figures) => figures["deliveries/s"]));
    peaks.set(name, Math.max(rate, peaks.get(name) ?? 0));
  }
  const top = 84 + costs.size * BAR;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 ${top + 60 + peaks.size * BAR}" role="img"
  aria-label="Processor time for each delivery, and deliveries per second, of ${[...costs.keys()].join(", ")}">
<style>${STYLE}</style>
${text(16, 24, "Processor time of the server for each delivery, in multiples of bare node:http", "title")}
${text(16, 44, "One message at a time to 1,000 clients: the reply and the next poll. Shorter is better.", "note")}
${bars(costs, 60)}
${text(16, top + 24, "Most deliveries per second", "title")}
${text(16, top + 44, "To 1,000 clients. Longer is better.", "note")}
${bars(peaks, top + 60)}
</svg>
`;
  writeFileSync(new URL("../../docs/bench.svg", import.meta.url), svg);
}

function bars(figures, top) {
  const most = Math.max(...figures.values());
  const rows = [...figures].map(([name, figure], n) => {
    const width = Math.round((figure / most) * LONGEST);
    const y = top + n * BAR;
    const rect = `<rect x="${LEFT}" y="${y + 2}" width="${width}" height="${BAR - 8}" fill="${COLORS[name] ?? "#868e96"}"/>`;
    const value = figure.toLocaleString("en", { maximumFractionDigits: figure < 100 ? 2 : 0 });
    return `${text(16, y + 15, name)}\n${rect}\n${text(LEFT + width + 8, y + 15, value)}`;
  });
  return rows.join("\n");
}

/** The names of the servers and all words have no characters that XML escapes. */
function text(x, y, words, style = "") {
  return `<text x="${x}" y="${y}" class="${style}">${words}</text>`;
}
