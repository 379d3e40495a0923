/**
 * Measures, prints a table, draws a chart. Reads from the environment:
 *
 *   ONLY=holdline,bare        who (bare is always there); PEERS=1 adds those that npm installs
 *   WHAT=one,rate,yield,idle,memory   what
 *   ROUNDS=3                  how often, in turn
 *   RATES=10,100,800          messages a second
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chart } from "./chart.js";
import { CONTENDERS } from "./contenders/index.js";
import { npmInstall } from "./contenders/missing.js";
import { measureAll, type Plan } from "./measures.js";
import { table } from "./table.js";

const RATES = [10, 50, 100, 200, 400, 800, 1200, 2000];

const list = (name: string) => process.env[name]?.split(",").filter(Boolean);
const plan: Plan = {
  rounds: Number(process.env.ROUNDS ?? 3),
  what: new Set(list("WHAT") ?? ["one", "rate", "yield", "idle", "memory"]),
  rates: list("RATES")?.map(Number) ?? RATES,
};
const only = list("ONLY");
const start = performance.now();
const tell = (line: string) => {
  const seconds = Math.floor((performance.now() - start) / 1000);
  console.error(`${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}  ${line}`);
};

// Bare is always there, since it is the measure.
const wanted = CONTENDERS.filter(({ name, isFromNpm }) => {
  if (only) return name === "bare" || only.includes(name);
  return !isFromNpm || process.env.PEERS;
});
if (wanted.some(({ isFromNpm, missing }) => isFromNpm && missing())) npmInstall();
const contenders = wanted.filter(({ name, missing }) => {
  const remedy = missing();
  if (remedy) tell(`${name} is not installed: ${remedy}`);
  return !remedy;
});
if (!wanted.some(({ isFromNpm }) => isFromNpm)) tell("without engine.io and Faye: PEERS=1 installs them");
const all = await measureAll(contenders, plan, tell);
console.log(table(all, plan));

// A quick look is not drawn over the whole picture.
const picture = new URL(only || process.env.WHAT ? "bench.svg" : "../../../docs/bench.svg", import.meta.url);
const drawn = chart(all);
if (drawn) {
  writeFileSync(picture, drawn);
  console.log(`\nDrawn in ${fileURLToPath(picture)}`);
}
