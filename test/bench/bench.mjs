/**
 * Measures holdline beside bare node:http and others, and prints tables in Markdown. Run after `npm run build`. Reads from the
 * environment:
 *
 *   ONLY=holdline,feed,bare   the servers (bare is always there)
 *   PEERS=1                   installs the peer that npm has
 *   BASELINE=/other/dist      another build of holdline, as the server "baseline"
 *   WHAT=one,browser,rate,crowd,idle   the scenarios
 *   ROUNDS=7                  rounds, instead of those in scenarios.mjs; in each, the servers take turns
 *   CLIENTS=300               clients, instead of 1,000 in `one`, `browser` and `rate`, and 10,000 in the others
 *   RATES=10,100,800          messages per second in `rate`
 *   FILL=1                    puts the tables and the chart into the documents
 */
import { chart } from "./chart.mjs";
import { findContenders, setBrowserHeaders } from "./contenders.mjs";
import { Room } from "./load.mjs";
import { Table } from "./report.mjs";
import { SCENARIOS } from "./scenarios.mjs";

/** The rounds of the peers, which are so much slower or faster that few are enough. */
const PEER_ROUNDS = 2;
const { ONLY, PEERS, WHAT, ROUNDS } = process.env;

const report = (line) => console.error(`${(performance.now() / 1000).toFixed(0).padStart(4)} s  ${line}`);
const contenders = findContenders(ONLY?.split(","), PEERS, report);
const scenarios = WHAT?.split(",") ?? Object.keys(SCENARIOS);
const results = new Map(scenarios.map((what) => [what, new Table()]));
/** Bare's first figures of this round, by scenario and label. */
const base = new Map();
for (const what of scenarios) {
  const { rounds } = SCENARIOS[what];
  for (let round = 1; round <= Number(ROUNDS ?? rounds); round++)
    for (const group of groupsOf(what, round)) {
      const names = group.map(({ name }) => name).join(", ");
      report(`${what}, round ${round}: ${names}`);
      await measure(what, group).catch((error) => report(`${what} of ${names} FAILED: ${error.message}`));
    }
  results.get(what).print(what);
}
chart(results);

/** Returns the servers that run at the same time. */
function groupsOf(what, round) {
  const { takeTurns, hasPeers, servers } = SCENARIOS[what];
  const ours = contenders.filter(
    ({ name, isOurs }) => isOurs && (ONLY !== undefined || !servers || servers.includes(name)),
  );
  const peers = contenders.filter(({ isOurs }) => !isOurs && hasPeers && round <= PEER_ROUNDS);
  if (takeTurns) return [ours, ...peers.map((peer) => [ours[0], peer])];
  return [...ours, ...peers].map((contender) => [contender]);
}

async function measure(what, group) {
  const { clients, flags, measure } = SCENARIOS[what];
  setBrowserHeaders(what === "browser");
  const rooms = [];
  try {
    for (const contender of group) {
      const room = new Room(contender);
      rooms.push(room);
      await room.open(clients, flags);
    }
    const rows = await measure(rooms);
    for (const room of rooms) room.check();
    add(what, group, rows);
  } finally {
    for (const room of rooms) await room.close();
  }
}

/** Adds the figures of a round, and the ratio of each first figure to bare's. Bare is always measured first. */
function add(what, group, rowsOfAll) {
  group.forEach(({ name }, n) => {
    for (const { label = "", ...figures } of rowsOfAll[n]) {
      const [first] = Object.values(figures);
      if (name === "bare") base.set(what + label, first);
      // Beside a peer, bare is there for the ratio only.
      if (name === "bare" && !group.every(({ isOurs }) => isOurs)) continue;
      const ratio = first / (base.get(what + label) ?? Number.NaN);
      results.get(what).add(`${name} ${label}`.trim(), { "of bare's": ratio, ...figures });
    }
  });
}
