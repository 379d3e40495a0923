/** Runs cases, at the same time where they do not disturb each other. */
import { setTimeout as sleep } from "node:timers/promises";
import { Fault, NotTried } from "./fault.js";
import type { Site } from "./site.js";
import { type Circumstances, Trial } from "./trial.js";

/**
 * When a case runs. `together`: with others that post. `quiet`: with others that do not post. `alone`: by itself.
 * `started`: on a server of its own. `last`: after all others.
 */
export type When = "together" | "quiet" | "alone" | "started" | "last";

export interface Case {
  readonly topic: string;
  /** A sentence that states the required behaviour. */
  readonly name: string;
  /** The section of the contract. */
  readonly section: string;
  readonly when: When;
  readonly run: (trial: Trial) => Promise<void>;
}

/** A failed case has what was sent, expected and received. */
export type Result = Omit<Case, "run"> &
  Partial<Pick<Fault, "sent" | "expected" | "came">> & {
    readonly status: "passed" | "failed" | "not tried";
    readonly ms: number;
    /** The reason why it was not tried. */
    readonly reason?: string;
  };

/** All cases that were added. */
export const CASES: Case[] = [];

/** Returns, for each way to run, a function that adds a case to a topic: a sentence that states the required behaviour. */
export function about(topic: string, section: string) {
  const adder = (when: When) => (name: string, run: Case["run"]) => {
    CASES.push({ topic, name, section, when, run });
  };
  const [together, quiet, alone] = [adder("together"), adder("quiet"), adder("alone")];
  return { together, quiet, alone, started: adder("started"), last: adder("last") };
}

/** The limit of one case in milliseconds, without its waits after 429. */
const CASE = 45_000;
/** The longest total wait after 429 that is not counted, in milliseconds, so that a server with only 429 ends a case. */
const SLOWED = 60_000;
/** The number of cases that run at the same time. */
const AT_ONCE = 8;

/**
 * Runs cases. On one server the phases follow each other. On several servers they run at the same time, since each server
 * has a room of its own. Returns results in the order of the cases. After `limit` ms no case starts.
 */
export async function runCases(
  cases: readonly Case[],
  sites: readonly Site[],
  here: Circumstances,
  limit: number,
  progress: (done: number, all: number) => void,
): Promise<Result[]> {
  const end = performance.now() + limit;
  const results = new Map<Case, Result>();
  let gone = false;
  /** Runs the cases of one kind: one at a time for each entry of `places`. */
  const play = async (when: When, places: readonly Site[]): Promise<void> => {
    const left = cases.filter((one) => one.when === when);
    const listening: Trial[] = [];
    const worker = async (site: Site): Promise<void> => {
      for (let one = left.shift(); one; one = left.shift()) {
        const trial = new Trial(site, here);
        const result = await tryCase(one, trial, end);
        // A log-out posts a notice, which would answer the polls of other quiet cases.
        if (when === "quiet") listening.push(trial);
        else await trial.close();
        const refused = when !== "started" && result.came === REFUSED;
        // A server that ended is reported once.
        results.set(one, refused && gone ? { ...result, ...GONE } : result);
        gone ||= refused;
        progress(results.size, cases.length);
      }
    };
    await Promise.all(places.map(worker));
    await Promise.all(listening.map((trial) => trial.close()));
  };
  const [first, second] = sites.slice(0, 2) as [Site, Site?];
  const times = (count: number, site: Site) => Array.from({ length: count }, () => site);
  const phases = [
    () => play("together", times(AT_ONCE, first)),
    () => Promise.all([play("quiet", times(100, second ?? first)), play("started", times(3, first))]),
    () => play("alone", second ? sites.slice(2) : [first]),
  ];
  if (second) await Promise.all(phases.map((phase) => phase()));
  else for (const phase of phases) await phase();
  await play("last", [first]);
  return cases.flatMap((one) => results.get(one) ?? []);
}

const REFUSED = "no reply: ECONNREFUSED";

const GONE = { status: "not tried", reason: "the server is gone" } as const;

async function tryCase({ run, ...about }: Case, trial: Trial, end: number): Promise<Result> {
  const began = performance.now();
  const finish = (rest: Pick<Result, "status" | "reason" | "sent" | "expected" | "came">): Result => ({
    ...{ ...about, ms: Math.round(performance.now() - began) },
    ...rest,
  });
  try {
    if (began > end) throw new Fault("nothing", "its turn", "no time left; see --time");
    await Promise.race([run(trial), deadline(trial, Math.min(CASE, end + CASE - began))]);
    return finish({ status: "passed" });
  } catch (error) {
    if (error instanceof NotTried) return finish({ status: "not tried", reason: error.message });
    if (!(error instanceof Fault)) throw error;
    const { sent, expected, came } = error;
    return finish({ status: "failed", sent, expected, came });
  }
}

async function deadline(trial: Trial, limit: number): Promise<never> {
  const began = performance.now();
  const left = () => began + limit + Math.min(trial.slowed, SLOWED) - performance.now();
  // Waits after 429 make the limit later.
  for (let ms = left(); ms > 0; ms = left()) await sleep(ms, undefined, { ref: false });
  throw new Fault(trial.last, "an answer", `none in ${Math.round(limit / 1000)} s`);
}
