/** Servers that the kit starts itself, for cases with restarts, drains and kills. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Fault } from "./fault.js";
import { freePort } from "./port.js";
import { Site } from "./site.js";

export interface Started {
  readonly site: Site;
  /** Sends a signal and waits for the end. Returns the exit status, or the signal that ended the process. */
  stop(signal?: NodeJS.Signals): Promise<number | string>;
  /** Ends the process if it still runs. */
  end(): Promise<void>;
}

/** The limit until a server answers its first request, in milliseconds. */
const START = 60_000;
/** The limit until a server ends, in milliseconds. The contract says five seconds. */
const STOP = 8_000;

export class Starter {
  readonly #command: readonly string[];
  readonly #url: string;
  readonly #folders: string[] = [];

  /**
   * @param command the command line with {port} and optionally {data}; it runs without a shell
   * @param url the URL of the server, with {port}
   */
  constructor(command: string, url: string) {
    this.#command = words(command);
    this.#url = url;
  }

  get keeps(): boolean {
    return this.#command.some((word) => word.includes("{data}"));
  }

  /** Creates a folder, which is removed at the end. */
  async folder(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), "conformance-"));
    this.#folders.push(folder);
    return join(folder, "data");
  }

  /** Starts a server, with a new folder unless one is given, and waits for its first reply. */
  async start(folder?: string): Promise<Started> {
    const [port, data] = [await freePort(), folder ?? (await this.folder())];
    const [program = "", ...args] = this.#command.map((word) =>
      word.replaceAll("{port}", `${port}`).replaceAll("{data}", data),
    );
    const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
    return started(child, new Site(this.#url.replaceAll("{port}", `${port}`)));
  }

  /** Ends all servers, also those of cases that ended before their server had started, and removes the folders. */
  async close(): Promise<void> {
    for (const child of running) child.kill("SIGKILL");
    for (const folder of this.#folders) await rm(folder, { recursive: true, force: true });
  }
}

// No server may outlive the kit.
const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

async function started(child: ChildProcess, site: Site): Promise<Started> {
  let said = "";
  let over: string | undefined;
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-2000);
  });
  running.add(child);
  const exited = once(child, "exit").then(
    ([status, signal]) => {
      running.delete(child);
      over = `it ended with ${status ?? signal}: ${said}`;
      return (status ?? signal) as number | string;
    },
    (error) => {
      over = String(error);
      return over;
    },
  );
  const server: Started = {
    site,
    stop(signal = "SIGTERM") {
      child.kill(signal);
      const late = `nothing: after ${STOP / 1000} s it still runs`;
      return Promise.race([exited, sleep(STOP, late, { ref: false })]);
    },
    async end() {
      site.close();
      child.kill("SIGKILL");
      await exited;
    },
  };
  const began = performance.now();
  while (!(await answers(site))) {
    if (over === undefined && performance.now() - began < START) {
      await sleep(20);
      continue;
    }
    const came = over ?? `nothing for ${START / 1000} s: ${said}`;
    await server.end();
    throw new Fault("the command of --start", "a server that answers", came);
  }
  return server;
}

function answers(site: Site): Promise<boolean> {
  return site.ask("healthz").then(
    () => true,
    () => false,
  );
}

/** Splits a command line into words. Quotes keep spaces. */
function words(command: string): string[] {
  return [...command.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c ?? "");
}
