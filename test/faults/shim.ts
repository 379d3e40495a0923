/** Compiles and controls `shim.c`: a disk that hangs or fails, for a real server. Needs Linux and a C compiler. */
import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The numbers of the control file, in the order of `shim.c`. Chances are in a thousand. */
const FIELDS = [
  ...(["syncMs", "write", "sync", "truncate", "rename", "open", "unlink", "short", "bind", "error"] as const),
  ...(["running", "mostRunning", "failed"] as const),
];
export type Field = (typeof FIELDS)[number];

/** Compiles the library, once for each test file. */
function compile(): string {
  const work = mkdtempSync(join(tmpdir(), "holdline-shim-"));
  process.once("exit", () => rmSync(work, { recursive: true }));
  const library = join(work, "shim.so");
  const source = fileURLToPath(new URL("shim.c", import.meta.url));
  try {
    execFileSync("cc", ["-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], { stdio: "pipe" });
  } catch (error) {
    throw new Error("this test needs a C compiler named cc (apt-get install gcc libc6-dev)", {
      cause: error,
    });
  }
  return library;
}
let library = "";

/** A disk for real servers: everything below a folder of its own. */
export class Shim {
  readonly #work = mkdtempSync(join(tmpdir(), "holdline-disk-"));
  readonly #control = join(this.#work, "control");
  readonly #file = openSync(this.#control, "w+");
  readonly folder = join(this.#work, "data");

  constructor() {
    library ||= compile();
    writeSync(this.#file, Buffer.alloc(4 * FIELDS.length));
  }

  /** The environment of a process that uses the disk. */
  get env(): Record<string, string> {
    return { LD_PRELOAD: library, FAULT_DIR: this.folder, FAULT_CTL: this.#control };
  }

  /** Sets numbers; a `syncMs` of an hour is a disk that hangs. */
  set(numbers: Partial<Record<Field, number>>): void {
    for (const [at, field] of FIELDS.entries()) {
      const value = numbers[field];
      if (value !== undefined) writeSync(this.#file, Int32Array.of(value), 0, 4, 4 * at);
    }
  }

  get(field: Field): number {
    const number = new Int32Array(1);
    readSync(this.#file, number, 0, 4, 4 * FIELDS.indexOf(field));
    return number[0] ?? 0;
  }

  /** Lets the disk work again; calls that hang go on. */
  heal(): void {
    this.set({ syncMs: 0, write: 0, sync: 0, truncate: 0, rename: 0, open: 0, unlink: 0, short: 0, bind: 0 });
  }

  remove(): void {
    closeSync(this.#file);
    rmSync(this.#work, { recursive: true });
  }
}
