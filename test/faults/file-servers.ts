/** Whole servers on one folder, and people in their rooms. All of them end with their test. A disk can hang or fail (`shim.c`). */
import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished } from "vitest";
import { Person } from "../wire/person.js";
import { type Run, runWith, type Server, startServerWith } from "../wire/server.js";

export class FileServers {
  /** @param atEnd the hook of the test. A test that runs at the same time as others has one of its own */
  constructor(
    readonly folder: string,
    private readonly env: Readonly<Record<string, string>> = {},
    protected readonly atEnd = onTestFinished,
  ) {}

  async start(...flags: string[]): Promise<Server> {
    const server = await startServerWith(this.env, "--data", this.folder, ...flags);
    this.atEnd(() => server.stop("SIGKILL").then(() => undefined));
    return server;
  }

  /** Starts a server in the place of one that has ended: on its port, so its sessions are valid. */
  startAgain({ port }: Server, ...flags: string[]): Promise<Server> {
    return this.start("--port", `${port}`, ...flags);
  }

  async login(server: Server, name: string): Promise<Person> {
    const person = await Person.login(server.url, name);
    this.atEnd(() => person.close());
    return person;
  }

  /** Runs the program without waiting for its start. */
  run(): Run {
    const run = runWith(this.env, "--port", "0", "--data", this.folder);
    this.atEnd(async () => {
      run.child.kill("SIGKILL");
      await run.exited;
    });
    return run;
  }

  /** Runs a server that must end at its start, because another one uses the folder. */
  async expectRefusedStart(): Promise<void> {
    const { exited, out } = this.run();
    expect([await exited, out.stdout]).toEqual([1, ""]);
    expect(out.stderr).toMatch(/^holdline: .*another process uses it.*\n$/);
  }
}

/** The numbers of the control file, in the order of `shim.c`: what fails, with which error, and what is counted. */
const FAULTS = ["syncMs", "write", "sync", "truncate", "rename", "open", "unlink", "short", "bind", "error"];
const COUNTS = ["running", "mostRunning", "failed"];

/** Compiles the library, once for each test file. Needs Linux and a C compiler. */
function compile(): string {
  const work = mkdtempSync(join(tmpdir(), "holdline-shim-"));
  process.once("exit", () => rmSync(work, { recursive: true }));
  const library = join(work, "shim.so");
  const source = fileURLToPath(new URL("shim.c", import.meta.url));
  try {
    execFileSync("cc", ["-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], { stdio: "pipe" });
  } catch (cause) {
    throw new Error("this test needs a C compiler named cc (apt-get install gcc libc6-dev)", { cause });
  }
  return library;
}
let library = "";

/** Servers on a disk of their own, which fails as it is told. */
export class Shim extends FileServers {
  readonly #control: number;

  constructor(atEnd = onTestFinished) {
    library ||= compile();
    const work = mkdtempSync(join(tmpdir(), "holdline-disk-"));
    const [folder, control] = [join(work, "data"), join(work, "control")];
    super(folder, { LD_PRELOAD: library, FAULT_DIR: folder, FAULT_CTL: control }, atEnd);
    this.#control = openSync(control, "w+");
    writeSync(this.#control, Buffer.alloc(4 * (FAULTS.length + COUNTS.length)));
    // After the servers, which end before it.
    atEnd(() => {
      closeSync(this.#control);
      rmSync(work, { recursive: true });
    });
  }

  /**
   * Sets the faults; those that are left out end. A `syncMs` of an hour is a disk that hangs. The calls fail with `error`,
   * with so many chances in a thousand.
   */
  set(faults: Readonly<Record<string, number>>): void {
    const numbers = Int32Array.from(FAULTS, (fault) => faults[fault] ?? 0);
    writeSync(this.#control, numbers, 0, undefined, 0);
  }

  /** Lets the disk work again; calls that hang go on. */
  heal(): void {
    this.set({});
  }

  get(count: "running" | "mostRunning" | "failed"): number {
    const number = new Int32Array(1);
    readSync(this.#control, number, 0, 4, 4 * (FAULTS.length + COUNTS.indexOf(count)));
    return number[0] ?? 0;
  }

  /** Waits until a call is under way. */
  async untilBusy(): Promise<void> {
    while (this.get("running") === 0) await setImmediate();
  }
}
