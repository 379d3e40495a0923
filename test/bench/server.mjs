/** A server under test: a process of its own. The operating system tells its processor time and memory. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const TICKS = Number(execFileSync("getconf", ["CLK_TCK"]));
const NODE = fileURLToPath(new URL("servers/node.mjs", import.meta.url));
const START_TIMEOUT_MS = 20_000;

const children = new Set();
// No server outlives a bench that is stopped.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

export class Server {
  #child;

  /** Starts a program that prints its address. */
  static async start(program, args) {
    const server = new Server();
    server.#child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
    children.add(server.#child);
    const timer = setTimeout(() => server.#child.kill("SIGKILL"), START_TIMEOUT_MS);
    let printed = "";
    for await (const chunk of server.#child.stdout) {
      printed += chunk;
      server.port = Number(/http:\/\/[\w.]+:(\d+)/.exec(printed)?.[1] ?? 0);
      if (server.port > 0) break;
    }
    clearTimeout(timer);
    if (!server.port) throw new Error(`${program} ${args.join(" ")} did not start`);
    return server;
  }

  /** Starts a program that listens on this port and prints nothing. */
  static startAt(port, command) {
    const isListening = `(: >/dev/tcp/127.0.0.1/${port}) 2>/dev/null`;
    const address = `(until ${isListening}; do sleep 0.1; done; echo http://127.0.0.1:${port}) &`;
    return Server.start("bash", ["-c", `${address} exec ${command}`]);
  }

  /** The processor time used so far, user and system, in seconds. */
  get cpu() {
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS;
  }

  /** The resident memory, in bytes. */
  get memory() {
    return 1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.#child.pid}/status`, "utf8"))[1]);
  }

  async stop(signal = "SIGKILL") {
    const closed = once(this.#child, "close");
    children.delete(this.#child);
    this.#child.kill(signal);
    await closed;
  }
}

/** Starts a Node program that prints its address. @param program a URL, or the name of a server in node.mjs */
export function startNode(program, ...flags) {
  const args = program instanceof URL ? [fileURLToPath(program)] : [NODE, program];
  return Server.start(process.execPath, [...args, ...flags]);
}
