/**
 * A disk that a test holds by the hand: each call to `node:fs/promises`, and to a file opened by it, passes through
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
  /** The descriptor, when the call is one of an open file. */
  readonly fd?: number;
}

export type Around = (step: Step, run: () => Promise<unknown>) => Promise<unknown>;

const asItIs: Around = (_, run) => run();

export const disk = {
  around: asItIs,
  reset(): void {
    disk.around = asItIs;
  },
};

/** An error as the system gives it. */
export function systemError(code: string, text: string): Error {
  return Object.assign(new Error(`${code}: ${text}`), { code });
}

/** Half of the bytes are written, then there is no more room. */
export async function runOutOfRoom(step: Step, run: (bytes: Buffer) => Promise<unknown>): Promise<never> {
  const [bytes] = step.args;
  if (Buffer.isBuffer(bytes)) await run(bytes.subarray(0, bytes.length / 2));
  throw systemError("ENOSPC", "no space left on device, write");
}

/** Calls on segments that fail, as long as they are told to. */
export function failing(calls: readonly string[], fail: Around) {
  disk.around = (step, run) =>
    step.file.startsWith("segment-") && calls.includes(step.call) ? fail(step, run) : run();
}

/** For `failing`: no room. */
export const full: Around = (step, run) =>
  runOutOfRoom(step, async (bytes) => Reflect.apply(run, undefined, [bytes]));
/** For `failing`: the disk does nothing. */
export const broken: Around = async () => {
  throw systemError("EIO", "input/output error");
};

export function held<Module extends object>(real: Module): Module {
  return new Proxy(real, {
    get(module, name) {
      const member: unknown = Reflect.get(module, name);
      if (typeof member !== "function" || typeof name !== "string") return member;
      return (...args: unknown[]) => {
        const file = basename(String(args[0]));
        return disk.around({ call: name, file, args }, async () => {
          const result: unknown = await Reflect.apply(member, module, args);
          return name === "open" ? heldFile(result, file) : result;
        });
      };
    },
  });
}

function heldFile(handle: unknown, file: string): unknown {
  if (typeof handle !== "object" || handle === null) return handle;
  return new Proxy(handle, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function" || typeof name !== "string") return member;
      return (...args: unknown[]) => {
        const fd = Number(Reflect.get(target, "fd", target));
        return disk.around({ call: name, file, args, fd }, () => Reflect.apply(member, target, args));
      };
    },
  });
}
