/** Starts the program on a free port, for tests over real sockets. */
import { fileURLToPath } from "node:url";
import { launch, printed, type Run } from "../conformance/start.js";

export { launch, printed, type Run } from "../conformance/start.js";

export const PROGRAM = fileURLToPath(new URL("../../dist/server.js", import.meta.url));

export type Server = Awaited<ReturnType<typeof startServerWith>>;

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

const DEFAULTS = { "--port": "0", "--data": "none", "--post-rate": "0", "--login-rate": "0" };

/** Starts a server on a free port, in memory and without rates unless the flags say otherwise. The caller stops it. */
export function startServer(...flags: string[]) {
  return startServerWith({}, ...flags);
}

/** Starts a server as `startServer` does, with additional environment variables. */
export async function startServerWith(env: NodeJS.ProcessEnv, ...flags: string[]) {
  const defaults = Object.entries(DEFAULTS).filter(([flag]) => !flags.includes(flag));
  const program = runWith(env, ...defaults.flat(), ...flags);
  const { child, exited, out } = program;
  const url = await printed(program, /^holdline is listening on (http:\S+)\n/);
  return {
    /** Without a slash at the end. */
    url,
    port: Number(new URL(url).port),
    pid: child.pid ?? 0,
    /** The output so far. */
    stdout: () => out.stdout,
    stderr: () => out.stderr,
    /** The exit status, or the signal that ended the process. */
    exited,
    /** Closes its output, like a log reader that ended. */
    closeOutput() {
      child.stdout?.destroy();
      child.stderr?.destroy();
    },
    /** Sends a signal and waits for the end. */
    stop(signal: NodeJS.Signals = "SIGTERM") {
      child.kill(signal);
      return exited;
    },
  };
}
