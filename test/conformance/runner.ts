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

export interface Result {
  readonly topic: string;
  readonly name: string;
  readonly section: string;
  readonly status: "passed" | "failed" | "not tried";
  readonly ms: number;
  /** The reason why it was not tried. */
  readonly reason?: string;
  readonly sent?: string;
  readonly expected?: string;
  readonly came?: string;
}

/** Returns a list for the cases of a topic and a function that adds one. */
export function about(topic: string): { cases: Case[]; add: Add } {
  const cases: Case[] = [];
  return { cases, add: (name, section, when, run) => cases.push({ topic, name, section, when, run }) };
}

type Add = (name: string, section: string, when: When, run: Case["run"]) => void;

/** The limit of one case in milliseconds, without its waits after 429. */
const CASE = 25_000;
/** The longest total wait after 429 that is not counted, in milliseconds, so that a server with only 429 ends a case. */
const SLOWED = 60_000;
/** The number of cases that run at the same time. */
const AT_ONCE = 8;

/** Runs cases in the order of their phases. Returns results in the order of the cases. After `limit` ms no case starts. */
export async function runCases(
  cases: readonly Case[],
  site: Site,
  here: Circumstances,
  limit: number,
  progress: (done: number, all: number) => void,
): Promise<Result[]> {
  const end = performance.now() + limit;
  const results = new Map<Case, Result>();
  let gone = false;
  const play = async (when: When, atOnce: number): Promise<void> => {
    const left = cases.filter((one) => one.when === when);
    const listening: Trial[] = [];
    const worker = async (): Promise<void> => {
      for (let one = left.shift(); one; one = left.shift()) {
        const trial = new Trial(site, here);
        const result = await tryCase(one, trial, end);
        // A log-out posts a notice, which would answer the polls of other quiet cases.
        if (when === "quiet") listening.push(trial);
        else await trial.close();
        const refused = when !== "started" && result.came === REFUSED;
        // A server that ended is reported once.
        results.set(one, refused && gone ? without(result) : result);
        gone ||= refused;
        progress(results.size, cases.length);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
    await Promise.all(listening.map((trial) => trial.close()));
  };
  await play("together", AT_ONCE);
  await Promise.all([play("quiet", 100), play("started", 3)]);
  await play("alone", 1);
  await play("last", 1);
  return cases.flatMap((one) => results.get(one) ?? []);
}

const REFUSED = "no reply: ECONNREFUSED";

function without({ topic, name, section, ms }: Result): Result {
  return { topic, name, section, ms, status: "not tried", reason: "the server is gone" };
}

async function tryCase(one: Case, trial: Trial, end: number): Promise<Result> {
  const { topic, name, section, run } = one;
  const began = performance.now();
  const finish = (rest: Pick<Result, "status" | "reason" | "sent" | "expected" | "came">): Result => ({
    topic,
    name,
    section,
    ms: Math.round(performance.now() - began),
    ...rest,
  });
  if (began > end) {
    return finish({
      status: "failed",
      sent: "nothing",
      expected: "its turn",
      came: "no time left; see --time",
    });
  }
  try {
    await Promise.race([run(trial), deadline(trial, Math.min(CASE, end + CASE - began))]);
    return finish({ status: "passed" });
  } catch (error) {
    if (error instanceof NotTried) return finish({ status: "not tried", reason: error.message });
    if (!(error instanceof Fault)) throw error;
    return finish({ status: "failed", sent: error.sent, expected: error.expected, came: error.came });
  }
}

async function deadline(trial: Trial, limit: number): Promise<never> {
  const began = performance.now();
  while (performance.now() - began < limit + Math.min(trial.slowed, SLOWED))
    await sleep(100, undefined, { ref: false });
  throw new Fault(trial.last, "an answer", `none in ${Math.round(limit / 1000)} s`);
}
