/** Servers that the kit starts itself, for cases with restarts, drains, kills and clock changes. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Fault, NotTried } from "./fault.js";
import { freePort } from "./port.js";
import { Site } from "./site.js";

/** The way to set the clock of a started process. */
export type Clock = "node" | "faketime";

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
  readonly #clock: Clock | undefined;
  readonly #folders: string[] = [];

  /**
   * @param command the command line with {port} and optionally {data}; it runs without a shell
   * @param url the URL of the server, with {port}
   */
  constructor(command: string, url: string, clock: Clock | undefined) {
    this.#command = words(command);
    this.#url = url;
    this.#clock = clock;
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
    await writeFile(clockFile, "+0");
    const [program = "", ...args] = this.#command.map((word) =>
      word.replaceAll("{port}", `${port}`).replaceAll("{data}", data),
    );
    const env = { ...process.env, ...(options.clock ? this.#environment(clockFile) : {}) };
    const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"], env });
    const site = new Site(this.#url.replaceAll("{port}", `${port}`));
    return started(child, site, clockFile);
  }

  async close(): Promise<void> {
    for (const folder of this.#folders) await rm(folder, { recursive: true, force: true });
  }

  #environment(file: string): Record<string, string> {
    if (this.#clock === "node") {
      const options = `${process.env.NODE_OPTIONS ?? ""} --import=${HOOK}`.trim();
      return { NODE_OPTIONS: options, CONFORMANCE_CLOCK: file };
    }
    if (this.#clock === undefined) throw new NotTried("needs --clock");
    // Timers use the monotonic clock, which stays unchanged.
    return {
      LD_PRELOAD: process.env.LIBFAKETIME ?? "/usr/$LIB/faketime/libfaketime.so.1",
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      DONT_FAKE_MONOTONIC: "1",
    };
  }
}

async function started(child: ChildProcess, site: Site, clockFile: string): Promise<Started> {
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-2000);
  });
  // No server may outlive the kit.
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const failed = new Promise<Error>((resolve) => child.once("error", resolve));
  const exited = once(child, "exit").then(([status, signal]) => {
    process.off("exit", kill);
    return (status ?? signal) as number | string;
  }, String);
  const server: Started = {
    site,
    async stop(signal = "SIGTERM") {
      child.kill(signal);
      return Promise.race([
        exited,
        sleep(STOP, `nothing: after ${STOP / 1000} s it still runs`, { ref: false }),
      ]);
    },
    setClock: (seconds) => writeFile(clockFile, seconds < 0 ? `${seconds}` : `+${seconds}`),
    async end() {
      site.close();
      kill();
      await Promise.race([exited, failed]);
    },
  };
  const broken = Promise.race([
    failed.then(String),
    exited.then((status) => `it ended with ${status}: ${said}`),
  ]);
  let over: string | undefined;
  void broken.then((why) => {
    over = why;
  });
  for (const began = performance.now(); !(await answers(site)); await sleep(20)) {
    if (over === undefined && performance.now() - began < START) continue;
    await server.end();
    throw new Fault(
      "the command of --start",
      "a server that answers",
      over ?? `nothing for ${START / 1000} s: ${said}`,
    );
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
