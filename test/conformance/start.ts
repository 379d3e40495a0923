/** Programs, and the servers that the kit starts itself, for cases with restarts, drains and kills. */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Fault } from "./fault.js";
import { Site } from "./site.js";

/** A program that was started. */
export interface Run {
  readonly child: ChildProcess;
  /** The exit status, or the signal that ended the program. */
  readonly exited: Promise<number | string>;
  readonly out: { stdout: string; stderr: string };
}

/** Runs any program, without input. */
export function launch(file: string, args: readonly string[], options: SpawnOptions = {}): Run {
  const child = spawn(file, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  const out = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.setEncoding("utf8").on("data", (text: string) => {
      out[name] += text;
    });
  }
  // A failed test must not leave its server running.
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  child.once("close", () => process.off("exit", kill));
  const exited = once(child, "close").then(([code, signal]) => (code ?? signal) as number | string);
  return { child, exited, out };
}

/** Resolves with the first group of a pattern when the program has printed it. Rejects if the program ends before that. */
export function printed({ child, exited, out }: Run, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    for (const output of [child.stdout, child.stderr])
      output?.on("data", () => {
        const [all, group = all] = pattern.exec(out.stdout) ?? pattern.exec(out.stderr) ?? [];
        if (group !== undefined) resolve(group);
      });
    exited.then(
      (status) => reject(new Error(`the program ended with ${status}: ${out.stdout}${out.stderr}`)),
      reject,
    );
  });
}

export interface Started {
  readonly site: Site;
  /** Sends a signal and waits for the end. Returns the exit status, or the signal that ended the process. */
  stop(signal?: NodeJS.Signals): Promise<number | string>;
}

/** The limit until a server prints its address, in milliseconds. */
const START = 60_000;
/** The limit until a server ends, in milliseconds. The contract says five seconds. */
const STOP = 8_000;
/** The address in a whole line that a server prints. */
const ADDRESS = /https?:\/\/[^\s/]+:\d+(?:\/\S*)?(?=.*\n)/;

export class Starter {
  readonly #command: readonly string[];
  readonly #root = mkdtempSync(join(tmpdir(), "conformance-"));
  #folders = 0;
  readonly #runs: Run[] = [];

  /** @param command the command line, optionally with {data}; it runs without a shell, and quotes keep spaces */
  constructor(command: string) {
    const words = command.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g);
    this.#command = Array.from(words, ([, a, b, c]) => a ?? b ?? c ?? "");
  }

  /** Whether a server keeps its messages in a folder. */
  get keeps(): boolean {
    return this.#command.some((word) => word.includes("{data}"));
  }

  /** Returns the path of a new folder, which is removed at the end. */
  folder(): string {
    return join(this.#root, `${this.#folders++}`);
  }

  /** Starts a server, with a new folder unless one is given, and waits for the address that it prints. */
  async start(data = this.folder()): Promise<Started> {
    const [program = "", ...args] = this.#command.map((word) => word.replaceAll("{data}", data));
    const run = launch(program, args);
    const { child, exited, out } = run;
    this.#runs.push(run);
    const late = sleep(START, undefined, { ref: false }).then(() => {
      throw new Error(`none in ${START / 1000} s: ${out.stdout}${out.stderr}`);
    });
    const url = await Promise.race([printed(run, ADDRESS), late]).catch((error: Error) => {
      throw new Fault("the command of --start", "a line with an address, http://HOST:PORT", error.message);
    });
    return {
      site: new Site(url),
      stop(signal = "SIGTERM") {
        child.kill(signal);
        const running = `nothing: after ${STOP / 1000} s it still runs`;
        return Promise.race([exited, sleep(STOP, running, { ref: false })]);
      },
    };
  }

  /** Ends all servers, and removes the folders. */
  async close(): Promise<void> {
    for (const { child } of this.#runs) child.kill("SIGKILL");
    await Promise.allSettled(this.#runs.map(({ exited }) => exited));
    rmSync(this.#root, { recursive: true, maxRetries: 3 });
  }
}
