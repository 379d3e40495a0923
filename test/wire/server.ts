/** Starts the program on a free port, for tests over real sockets. */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export const PROGRAM = fileURLToPath(new URL("../../dist/server.js", import.meta.url));

export interface Server {
  /** The URL, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** The output so far. */
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** The exit status, or the signal that ended the process. */
  readonly exited: Promise<number | string>;
  /** Closes its output, like a log reader that ended. */
  closeOutput(): void;
  /** Sends a signal (default SIGTERM) and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<number | string>;
}

export interface Run {
  readonly child: ChildProcess;
  readonly exited: Promise<number | string>;
  readonly out: { stdout: string; stderr: string };
}

/** Runs the program with these flags until it ends. */
export function run(...flags: string[]): Run {
  return runWith({}, ...flags);
}

/** Runs the program with these flags and additional environment variables until it ends. */
export function runWith(env: NodeJS.ProcessEnv, ...flags: string[]): Run {
  // The environment of a developer must not change the server's address.
  return launch(process.execPath, [PROGRAM, ...flags], {
    env: { ...process.env, HOST: "", PORT: "", ...env },
  });
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
    child.stdout?.on("data", () => {
      const [all, group = all] = pattern.exec(out.stdout) ?? [];
      if (group !== undefined) resolve(group);
    });
    void exited.then((status) =>
      reject(new Error(`the program ended with ${status}: ${out.stdout}${out.stderr}`)),
    );
  });
}

/** A busy machine delays the event loop. The test of `serve` is about that line. */
const LATE = /^holdline: the event loop was late: .*\n/gm;
const DEFAULTS = { "--port": "0", "--data": "none", "--post-rate": "0", "--login-rate": "0" };

/** Starts a server on a free port, in memory and without rates unless the flags say otherwise. The caller stops it. */
export function startServer(...flags: string[]): Promise<Server> {
  return startServerWith({}, ...flags);
}

/** Starts a server as `startServer` does, with additional environment variables. */
export async function startServerWith(env: NodeJS.ProcessEnv, ...flags: string[]): Promise<Server> {
  const defaults = Object.entries(DEFAULTS).filter(([flag]) => !flags.includes(flag));
  const program = runWith(env, ...defaults.flat(), ...flags);
  const { child, exited, out } = program;
  const url = await printed(program, /^holdline is listening on (http:\S+)\n/);
  return {
    url,
    port: Number(new URL(url).port),
    pid: child.pid ?? 0,
    stdout: () => out.stdout,
    stderr: () => out.stderr.replace(LATE, ""),
    exited,
    closeOutput() {
      child.stdout?.destroy();
      child.stderr?.destroy();
    },
    stop(signal = "SIGTERM") {
      child.kill(signal);
      return exited;
    },
  };
}
