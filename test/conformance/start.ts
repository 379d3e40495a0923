/** Servers that the kit starts itself, for cases with restarts, drains, kills and clock changes. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
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
  /** Sets the clock of the process to the true time plus an offset in seconds. */
  setClock(seconds: number): Promise<void>;
  /** Ends the process if it still runs. */
  end(): Promise<void>;
}

/** The limit until a server answers its first request, in milliseconds. */
const START = 15_000;
/** The limit until a server ends, in milliseconds. The contract says five seconds. */
const STOP = 8_000;
const HOOK = new URL("../clock.mjs", import.meta.url).href;

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

  /** Starts a server and waits for its first reply. */
  async start(options: { readonly data?: string; readonly clock?: boolean } = {}): Promise<Started> {
    const port = await freePort();
    const data = options.data ?? (await this.folder());
    const clockFile = `${await this.folder()}.clock`;
    await writeFile(clockFile, "0");
    const [program = "", ...args] = this.#command.map((word) =>
      word.replaceAll("{port}", `${port}`).replaceAll("{data}", data),
    );
    const node = `${process.env.NODE_OPTIONS ?? ""} --import=${HOOK}`;
    const clock = options.clock ? { NODE_OPTIONS: node, CONFORMANCE_CLOCK: clockFile } : {};
    const env = { ...process.env, ...clock };
    const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"], env });
    const site = new Site(this.#url.replaceAll("{port}", `${port}`));
    return started(child, site, clockFile);
  }

  async close(): Promise<void> {
    for (const folder of this.#folders) await rm(folder, { recursive: true, force: true });
  }
}

// No server may outlive the kit.
const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

async function started(child: ChildProcess, site: Site, clockFile: string): Promise<Started> {
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
    setClock: (seconds) => writeFile(clockFile, `${seconds}`),
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
    await server.end();
    const came = over ?? `nothing for ${START / 1000} s: ${said}`;
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
