/**
 * A disk in the hands of a test: each call to `node:fs/promises`, and to a file opened by it, passes through
 * `disk.around`, which may look on, fail it, or do half of it. A test file takes it with
 *
 *     vi.mock("node:fs/promises", async (original) => (await import("./file-disk.js")).held(await original()));
 */
import { basename } from "node:path";

/** One call: the function's name, the name of the file (or of the folder) that it is about. */
export interface Step {
  readonly call: string;
  readonly file: string;
  readonly args: readonly unknown[];
  /** The descriptor, or -1 if the call is not one of an open file. */
  readonly fd: number;
}

/** @param run makes the call, with other arguments if it gets some */
export type Around = (step: Step, run: (...other: unknown[]) => Promise<unknown>) => Promise<unknown>;

const asItIs: Around = (_, run) => run();

export const disk = {
  around: asItIs,
  reset(): void {
    disk.around = asItIs;
  },
};

/** Fails a call as the system does: half of the bytes are written, and Linux closes a file also when it says that it could not. */
export const broken: Around = async ({ call, args: [bytes] }, run) => {
  if (call === "appendFile" && Buffer.isBuffer(bytes)) await run(bytes.subarray(0, bytes.length / 2));
  if (call === "close") await run();
  throw Object.assign(new Error(`EIO: input/output error, ${call}`), { code: "EIO" });
};

/** Lets these calls on segments fail. Returns how many have failed. */
export function failing(...calls: readonly string[]): () => number {
  let count = 0;
  disk.around = (step, run) => {
    if (!step.file.startsWith("segment-") || !calls.includes(step.call)) return run();
    count++;
    return broken(step, run);
  };
  return () => count;
}

/** Returns the module, or a file that it has opened, with all calls through `disk.around`. */
export function held<Target extends object>(target: Target, file?: string): Target {
  return new Proxy(target, {
    get(_, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function" || typeof name !== "string") return member;
      return (...args: unknown[]) => {
        const fd: unknown = Reflect.get(target, "fd", target);
        const step = { call: name, file: file ?? basename(String(args[0])), args, fd: Number(fd ?? -1) };
        return disk.around(step, async (...other) => {
          const result = await Reflect.apply(member, target, other.length > 0 ? other : args);
          return name === "open" ? held(result, step.file) : result;
        });
      };
    },
  });
}
