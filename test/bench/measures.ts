/** Who is measured, in which order, how often; what came out. */
import { bare } from "./contenders/bare.js";
import type { Contender } from "./contenders/contender.js";
import type { Times } from "./prober.js";
import { hour, idle, memoryEach, type Offered, offer, oneAtATime, others } from "./scenarios.js";
import { Stage } from "./stage.js";

export interface Plan {
  readonly rounds: number;
  readonly what: ReadonlySet<string>;
  readonly rates: readonly number[];
}

/** All figures of one contender; one of each for every round. */
export class Measures {
  /** µs per delivery, by the size of the crowd. */
  readonly cpu = new Map<number, number[]>();
  /** The same as a share of bare's, where both took turns. */
  readonly ofBare: number[] = [];
  readonly offered = new Map<number, Offered[]>();
  readonly others: Times[] = [];
  /** KiB for each of 10,000: resident, and of the heap in use. */
  readonly memory: number[] = [];
  readonly hour: number[] = [];
  readonly idle: number[] = [];
  readonly failures: string[] = [];
}

const SMALL = 1000;
const LARGE = 10_000;
/** How often somebody polls in an hour. */
const POLLS = 3600 / 25;

/** In turn, so that what the machine does meanwhile hits all alike. */
export async function measureAll(
  contenders: readonly Contender[],
  plan: Plan,
  tell: (line: string) => void,
): Promise<Map<string, Measures>> {
  const all = new Map(contenders.map(({ name }) => [name, new Measures()]));
  for (let round = 1; round <= plan.rounds; round++) {
    for (const size of [SMALL, LARGE]) {
      for (const contender of contenders) {
        const measures = all.get(contender.name) ?? new Measures();
        if (!isWanted(contender, size, plan)) continue;
        const say = (what: string) =>
          tell(`round ${round} of ${plan.rounds}, ${contender.name}, ${size} clients: ${what}`);
        say("they come");
        const play = size === SMALL ? small : large;
        await Stage.set(contender, size, async (stage) => {
          await play(stage, measures, plan, round === 1, say);
          stage.clients.check();
        }).catch((error: Error) => {
          say(`FAILED: ${error.message}`);
          measures.failures.push(`${size} clients: ${error.message}`);
        });
      }
    }
  }
  return all;
}

function isWanted({ crowds }: Contender, size: number, { what }: Plan): boolean {
  if (what.has("one") && crowds.includes(size)) return true;
  return size === SMALL
    ? what.has("rate")
    : crowds.includes(size) && ["yield", "memory", "idle"].some((w) => what.has(w));
}

type Play = (
  stage: Stage,
  measures: Measures,
  plan: Plan,
  isFirst: boolean,
  say: (what: string) => void,
) => Promise<void>;

const small: Play = async (stage, measures, { what, rates }, _, say) => {
  if (what.has("one") && stage.contender.crowds.includes(SMALL)) {
    if (stage.contender.name === bare.name) await one(stage, measures, 200, say);
    else await besideBare(stage, measures, say);
  }
  if (!what.has("rate")) return;
  // The compiler's share.
  if (!what.has("one")) await oneAtATime([stage], 20, 8);
  let best = 0;
  for (const rate of stage.contender.rates ?? rates) {
    const got = await offer(stage, rate, 2.5);
    say(`${rate} messages/s, ${Math.round(got.deliveries)} deliveries/s, p50 ${got.p50} ms`);
    measures.offered.set(rate, [...(measures.offered.get(rate) ?? []), got]);
    // It is over its limit; more would only take longer.
    if (got.outstanding > 0 || got.deliveries < best) break;
    best = got.deliveries * 0.8;
  }
};

const large: Play = async (stage, measures, { what }, isFirst, say) => {
  measures.memory.push(memoryEach(stage));
  say(`${measures.memory.at(-1)?.toFixed(1)} KiB for each`);
  if (what.has("one")) await one(stage, measures, 20, say);
  if (!isLeading(stage.contender)) return;
  if (what.has("yield")) {
    say("posts and pages of others meanwhile");
    measures.others.push(await others(stage, 6));
  }
  // What takes long is done once, and only where polls have an end.
  if (!isFirst || stage.contender.name !== "holdline") return;
  if (what.has("idle")) {
    say("nothing, for 50 s");
    measures.idle.push(await idle(stage, 50));
  }
  if (!what.has("memory")) return;
  say(`${POLLS} polls each`);
  measures.hour.push(...(await hour(stage, POLLS)));
};

async function one(stage: Stage, measures: Measures, rounds: number, say: (what: string) => void) {
  const [cpu = Number.NaN] = await oneAtATime([stage], rounds, 8);
  add(measures, stage, cpu, say);
}

async function besideBare(stage: Stage, measures: Measures, say: (what: string) => void) {
  // So that its poster has asked something, and may rest.
  await oneAtATime([stage], 1, 1);
  await Stage.set(bare, SMALL, async (beside) => {
    const [cpu = Number.NaN, base = Number.NaN] = await oneAtATime([stage, beside], 200, 8);
    add(measures, stage, cpu, say);
    say(`${(cpu / base).toFixed(2)} of bare's, which took turns with it`);
    measures.ofBare.push(cpu / base);
    beside.clients.check();
  });
}

function add(measures: Measures, { clients }: Stage, cpu: number, say: (what: string) => void) {
  say(`${cpu.toFixed(1)} µs a delivery`);
  measures.cpu.set(clients.all.length, [...(measures.cpu.get(clients.all.length) ?? []), cpu]);
}

function isLeading({ name }: Contender): boolean {
  return name === "holdline" || name === "bare";
}
