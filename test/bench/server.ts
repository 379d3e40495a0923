/** A server under test: its own process, its own figures from the operating system. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const TICKS = Number(execFileSync("getconf", ["CLK_TCK"]).toString());
const PROBE = new URL("../servers/probe.mjs", import.meta.url).href;

export interface Figures {
  /** Event-loop delay since the last time, in milliseconds. */
  readonly p99: number;
  readonly max: number;
  /** Bytes. */
  readonly heap: number;
}

export class ServerUnderTest {
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(url: string, child: ChildProcess) {
    this.url = url;
    this.#child = child;
  }

  /** Starts a Node program that prints its address. */
  static async start(program: URL, ...flags: string[]): Promise<ServerUnderTest> {
    const child = spawn(process.execPath, ["--import", PROBE, fileURLToPath(program), ...flags], {
      stdio: ["ignore", "pipe", "inherit", "ipc"],
    });
    let printed = "";
    for await (const chunk of child.stdout ?? []) {
      printed += String(chunk);
      const url = /http:\S+/.exec(printed)?.[0];
      if (url) return new ServerUnderTest(url, child);
    }
    throw new Error(`${program} did not start`);
  }

  /** Processor time spent so far, in seconds. */
  get cpu(): number {
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS;
  }

  /** Resident memory, in bytes. */
  get memory(): number {
    const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.#child.pid}/status`, "utf8"))?.[1];
    return Number(kib) * 1024;
  }

  /** The process' own figures, and begins anew with the delay. */
  async figures(): Promise<Figures> {
    this.#child.send("reset");
    const [figures] = (await once(this.#child, "message")) as [Figures];
    return figures;
  }

  async stop(): Promise<void> {
    const closed = once(this.#child, "close");
    this.#child.kill("SIGKILL");
    await closed;
  }
}
