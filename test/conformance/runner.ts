/** Runs cases, at the same time where they do not disturb each other. */
import { setTimeout as sleep } from "node:timers/promises";
import { Fault, NotTried, type Report } from "./fault.js";
import type { Person } from "./person.js";
import type { Site } from "./site.js";
import { type Circumstances, Trial } from "./trial.js";

/**
 * When a case runs. `together`: with others that post. `quiet`: with others that do not post. `alone`: by itself.
 * `started`: on a server of its own.
 */
export type When = "together" | "quiet" | "alone" | "started";

export interface Case {
  readonly topic: string;
  /** A sentence that states the required behaviour. */
  readonly name: string;
  /** The section of the contract. */
  readonly section: string;
  readonly when: When;
  /** How many people are logged in before. */
  readonly people: number;
  readonly run: Run;
}

type Run = (trial: Trial, ...people: Person[]) => Promise<unknown>;

/** The result of a case, with the reason why it was not tried or the report of its fault. */
export interface Result extends Omit<Case, "run" | "people">, Partial<Report> {
  readonly status: "passed" | "failed" | "not tried";
  readonly ms: number;
  readonly reason?: string;
}

/** All cases that were added. */
export const CASES: Case[] = [];

/**
 * Returns, for each way to run, a function that adds a case to a topic: a sentence that states the required behaviour. A
 * case has a parameter for each person.
 */
export function about(topic: string, section: string) {
  const add = (when: When, name: string, people: number, run: Run) =>
    CASES.push({ topic, name, section, when, people, run });
  const adder = (when: When) => (name: string, run: Run) => add(when, name, run.length - 1, run);
  /** The first person must have received exactly these texts in the end. */
  const hears = (
    name: string,
    texts: readonly string[],
    run: (t: Trial, ann: Person, bob: Person) => Promise<unknown>,
  ) =>
    add("together", name, run.length - 1, async (t, ann, bob) => {
      const since = await ann.end();
      await run(t, ann, bob);
      await t.hears(ann, since, texts);
    });
  const [together, quiet, alone] = [adder("together"), adder("quiet"), adder("alone")];
  return { together, hears, quiet, alone, started: adder("started") };
}

/** The limit of one case in milliseconds. */
const CASE = 45_000;

/** The kinds of cases that run at the same time, each with the number of its cases that do. */
const PHASES: readonly (readonly [when: When, count: number][])[] = [
  [["together", 8]],
  [
    ["quiet", 100],
    ["started", 3],
  ],
  [["alone", 1]],
];

/**
 * Runs cases. On one server the phases follow each other. On several servers they run at the same time, since each server
 * has a room of its own. Returns results in the order of the cases. After `limit` ms no case starts.
 */
export async function runCases(
  cases: readonly Case[],
  sites: readonly [Site, ...Site[]],
  here: Circumstances,
  limit: number,
  progress: (done: number) => void,
): Promise<Result[]> {
  const end = performance.now() + limit;
  const results = new Map<Case, Result>();
  /** Runs the cases of one kind, some of them at the same time. */
  const play = async (when: When, count: number, site: Site): Promise<void> => {
    const left = cases.filter((one) => one.when === when);
    const listening: Trial[] = [];
    const worker = async (): Promise<void> => {
      for (let one = left.shift(); one; one = left.shift()) {
        const trial = new Trial(site, here);
        results.set(one, await tryCase(one, trial, end));
        // A log-out posts a notice, which would answer the polls of other quiet cases.
        if (when === "quiet") listening.push(trial);
        else await trial.close();
        progress(results.size);
      }
    };
    await Promise.all(Array.from({ length: count }, worker));
    await Promise.all(listening.map((trial) => trial.close()));
  };
  const playAll = async (site: Site, n: number): Promise<void> => {
    const phases = PHASES.filter((_, phase) => phase % sites.length === n);
    for (const phase of phases) await Promise.all(phase.map(([when, count]) => play(when, count, site)));
  };
  await Promise.all(sites.map(playAll));
  return cases.flatMap((one) => results.get(one) ?? []);
}

async function tryCase({ run, people, ...about }: Case, trial: Trial, end: number): Promise<Result> {
  const began = performance.now();
  const finish = (rest: Pick<Result, "status" | "reason"> | ({ status: "failed" } & Report)): Result => ({
    ...about,
    ms: Math.round(performance.now() - began),
    ...rest,
  });
  try {
    if (began > end) throw new Fault("nothing", "its turn", "no time left; see --time");
    const play = async () => run(trial, ...(await trial.people(people)));
    const late = sleep(Math.min(CASE, end + CASE - began), "late", { ref: false });
    if ((await Promise.race([play(), late])) === "late")
      throw new Fault(trial.progress.last, "an answer", `none in ${CASE / 1000} s`);
    return finish({ status: "passed" });
  } catch (error) {
    if (error instanceof NotTried) return finish({ status: "not tried", reason: error.message });
    if (!(error instanceof Fault)) throw error;
    return finish({ status: "failed", ...error.report });
  }
}
