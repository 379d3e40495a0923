/**
 * Measures holdline beside bare node:http and others, prints tables, draws the chart. Run after `npm run build`. Reads from
 * the environment:
 *
 *   ONLY=holdline,feed,bare   the servers (bare is always there)
 *   PEERS=1                   installs the peers that npm has
 *   BASELINE=/other/dist      another build of holdline, as the server "baseline"
 *   WHAT=one,rate,yield,memory,idle   the scenarios
 *   ROUNDS=3                  rounds; in each, the servers take turns
 *   HEADERS=browser           requests have a browser's headers
 *   CLIENTS=300               clients, instead of 1,000 in `one` and `rate`, and 10,000 in the others
 *   RATES=10,100,800          messages per second in `rate`
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chart } from "./chart.mjs";
import { findContenders } from "./contenders.mjs";
import { Room } from "./load.mjs";
import { table } from "./report.mjs";
import { SCENARIOS } from "./scenarios.mjs";

const { ONLY, PEERS, WHAT, ROUNDS = "3" } = process.env;

const report = (line) => console.error(`${(performance.now() / 1000).toFixed(0).padStart(4)} s  ${line}`);
const contenders = findContenders(ONLY?.split(","), PEERS, report);
const scenarios = WHAT?.split(",") ?? Object.keys(SCENARIOS);
const results = new Map(scenarios.map((what) => [what, new Map()]));
/** Bare's first figures of this round, by scenario and label. */
const base = new Map();
for (let round = 1; round <= Number(ROUNDS); round++) {
  base.clear();
  for (const what of scenarios)
    for (const group of groupsOf(what)) {
      const names = group.map(({ name }) => name).join(", ");
      report(`round ${round} of ${ROUNDS}: ${what}, ${names}`);
      await measure(what, group).catch((error) => report(`${what} of ${names} FAILED: ${error.message}`));
    }
}
table(results);
const svg = chart(results);
if (svg) {
  // A short run does not replace the chart of the documents.
  const file = new URL(ONLY || WHAT ? "out/bench.svg" : "../../docs/bench.svg", import.meta.url);
  mkdirSync(new URL(".", file), { recursive: true });
  writeFileSync(file, svg);
  console.log(`\nThe chart is ${fileURLToPath(file)}`);
}

/** Returns the servers that run at the same time. */
function groupsOf(what) {
  const { clients, isForOurs } = SCENARIOS[what];
  const able = contenders.filter(
    ({ isOurs, maxClients = clients }) => clients <= maxClients && (isOurs || !isForOurs),
  );
  if (what !== "one") return able.map((contender) => [contender]);
  const ours = able.filter(({ isOurs }) => isOurs);
  return [ours, ...able.filter(({ isOurs }) => !isOurs).map((peer) => [ours[0], peer])];
}

async function measure(what, group) {
  const { clients, flags, measure } = SCENARIOS[what];
  const rooms = [];
  try {
    for (const contender of group) rooms.push(await Room.open(contender, clients, flags));
    const rows = await measure(rooms);
    for (const room of rooms) room.check();
    add(what, group, rows);
  } finally {
    for (const room of rooms) await room.close();
  }
}

/** Adds the figures of a round, and the ratio of each first figure to bare's. Bare is always measured first. */
function add(what, group, rowsOfAll) {
  const all = results.get(what);
  group.forEach(({ name }, n) => {
    for (const { label = "", ...figures } of rowsOfAll[n]) {
      const [first] = Object.values(figures);
      if (name === "bare") base.set(what + label, first);
      // Beside a peer, bare is there for the ratio only.
      if (name === "bare" && !group.every(({ isOurs }) => isOurs)) continue;
      const key = `${name} ${label}`.trim();
      const ratio = first / (base.get(what + label) ?? Number.NaN);
      all.set(key, [...(all.get(key) ?? []), { ...figures, "of bare's": ratio }]);
    }
  });
}
