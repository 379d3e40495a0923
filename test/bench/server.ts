/** A server under test: its own process, or several; its figures are the operating system's. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const TICKS = Number(execFileSync("getconf", ["CLK_TCK"]).toString());
const PROBE = new URL("../servers/probe.mjs", import.meta.url).href;
/** How long a server may take to start, in milliseconds. */
const START = 20_000;

/** What a Node server tells of itself. */
export interface Figures {
  /** The longest but 1 % that its event loop was late, since it was asked before, in milliseconds. */
  readonly delay: number;
  /** What is in use of its heap, in bytes. */
  readonly heap: number;
}

const running = new Set<ServerUnderTest>();
// So that no server outlives a bench that is stopped.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
process.on("exit", () => {
  for (const server of running) server.kill();
});

export class ServerUnderTest {
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(port: number, child: ChildProcess) {
    this.port = port;
    this.#child = child;
    running.add(this);
  }

  /** Starts a program, which prints its address. */
  static async start(program: string, ...flags: string[]): Promise<ServerUnderTest> {
    const child = spawn(program, flags, { stdio: ["ignore", "pipe", "inherit", "ipc"] });
    const timer = setTimeout(() => child.kill("SIGKILL"), START);
    let printed = "";
    for await (const chunk of child.stdout ?? []) {
      printed += String(chunk);
      const port = /http:\/\/[\w.]+:(\d+)/.exec(printed)?.[1];
      if (!port) continue;
      clearTimeout(timer);
      return new ServerUnderTest(Number(port), child);
    }
    throw new Error(`${program} ${flags.join(" ")} did not start`);
  }

  /** Processor time spent so far, by user and system, in seconds. */
  get cpu(): number {
    return sum(this.#processes(), (pid) => {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return (Number(fields[11]) + Number(fields[12])) / TICKS;
    });
  }

  /** Resident memory, in bytes. */
  get memory(): number {
    return sum(this.#processes(), (pid) => {
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
    });
  }

  /** A Node server's own figures; the delay's clock begins anew, or ends. Undefined for others. */
  async figures(what: "watch" | "stop watching" | "collect garbage"): Promise<Figures | undefined> {
    if (!this.#child.spawnargs.includes(PROBE)) return undefined;
    this.#child.send(what);
    const [figures] = (await once(this.#child, "message")) as [Figures];
    return figures;
  }

  async stop(): Promise<void> {
    const closed = once(this.#child, "close");
    this.kill();
    await closed;
  }

  kill(): void {
    running.delete(this);
    for (const pid of this.#processes()) process.kill(pid, "SIGKILL");
  }

  /** It, and those that it started. */
  #processes(): number[] {
    return tree(this.#child.pid ?? 0);
  }
}

/** Starts a Node program that prints its address. */
export function node(program: URL, ...flags: string[]): Promise<ServerUnderTest> {
  return ServerUnderTest.start(process.execPath, "--import", PROBE, fileURLToPath(program), ...flags);
}

function tree(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    return [pid, ...children.split(" ").filter(Boolean).map(Number).flatMap(tree)];
  } catch {
    // It has ended.
    return [];
  }
}

function sum(pids: readonly number[], figure: (pid: number) => number): number {
  return pids.reduce((total, pid) => total + figure(pid), 0);
}
