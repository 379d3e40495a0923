/** Servers that the kit starts itself, for cases with restarts, drains and kills. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Fault } from "./fault.js";
import { Site } from "./site.js";

export interface Started {
  readonly site: Site;
  /** Sends a signal and waits for the end. Returns the exit status, or the signal that ended the process. */
  stop(signal?: NodeJS.Signals): Promise<number | string>;
  /** Ends the process if it still runs. */
  end(): Promise<void>;
}

/** The limit until a server prints its address, in milliseconds. */
const START = 60_000;
/** The limit until a server ends, in milliseconds. The contract says five seconds. */
const STOP = 8_000;
/** The address in a line that a server prints. */
const ADDRESS = /https?:\/\/[^\s/]+:\d+(\/\S*)?/;

export class Starter {
  readonly #command: readonly string[];
  readonly #folders: string[] = [];
  readonly #running = new Set<ChildProcess>();

  /** @param command the command line, optionally with {data}; it runs without a shell, and quotes keep spaces */
  constructor(command: string) {
    const words = command.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g);
    this.#command = Array.from(words, ([, a, b, c]) => a ?? b ?? c ?? "");
    // No server may outlive the kit.
    process.once("exit", () => this.#kill());
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

  /** Starts a server, with a new folder unless one is given, and waits for the address that it prints. */
  async start(folder?: string): Promise<Started> {
    const data = folder ?? (await this.folder());
    const [program = "", ...args] = this.#command.map((word) => word.replaceAll("{data}", data));
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#running.add(child);
    let printed = "";
    const address = new Promise<string>((resolve) => {
      for (const input of [child.stdout, child.stderr])
        createInterface({ input }).on("line", (line) => {
          printed = `${printed}${line}\n`.slice(-2000);
          const url = ADDRESS.exec(line)?.[0];
          if (url) resolve(url);
        });
    });
    const exited: Promise<number | string> = once(child, "close").then(
      ([status, signal]) => status ?? signal,
      (error) => error.message,
    );
    const failed = exited.then((status) => {
      this.#running.delete(child);
      throw new Fault("the command of --start", "a server", `it ended with ${status}: ${printed}`);
    });
    const late = sleep(START, undefined, { ref: false }).then(() => {
      throw new Fault("the command of --start", "a line with its address, http://HOST:PORT", printed);
    });
    const site = new Site(await Promise.race([address, failed, late]));
    return {
      site,
      stop(signal = "SIGTERM") {
        child.kill(signal);
        const running = `nothing: after ${STOP / 1000} s it still runs`;
        return Promise.race([exited, sleep(STOP, running, { ref: false })]);
      },
      async end() {
        site.close();
        child.kill("SIGKILL");
        await exited;
      },
    };
  }

  /** Ends all servers, also those of cases that ended before their server had started, and removes the folders. */
  async close(): Promise<void> {
    this.#kill();
    for (const folder of this.#folders) await rm(folder, { recursive: true, force: true });
  }

  #kill(): void {
    for (const child of this.#running) child.kill("SIGKILL");
  }
}
