/** The package as others get it: packed, and installed into an empty project. */
import { type ExecFileOptions, execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const ROOT = fileURLToPath(new URL("../", import.meta.url));
const { resolve } = createRequire(import.meta.url);

export interface Packed {
  /** The folder of the project. The package is in its node_modules. */
  readonly project: string;
  readonly tarball: string;
  /** Links packages of the tests into the project. */
  link(...names: string[]): Promise<void>;
  remove(): Promise<void>;
}

/** Runs a program to its end and returns its standard output. Rejects with all output if it fails. */
export async function runIn(cwd: string, file: string, args: string[], options: ExecFileOptions = {}) {
  try {
    const { stdout } = await promisify(execFile)(file, args, { cwd, ...options });
    return stdout.toString();
  } catch (error) {
    const { stdout = "", stderr = error } = error as { stdout?: string; stderr?: unknown };
    throw new Error(`${file} ${args.join(" ")}: ${stdout}${stderr}`);
  }
}

export const RESOLUTIONS = [
  ["node16", "node16"],
  ["nodenext", "nodenext"],
  ["bundler", "esnext"],
] as const;

/** Type-checks files strictly, as an embedder does. */
export async function typeCheck(cwd: string, moduleResolution: string, module: string, files: string[]) {
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const flags = { module, moduleResolution, target: "es2022", lib: "es2023", types: "node" };
  const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]);
  args.push("--noEmit", "--strict", "--exactOptionalPropertyTypes");
  await runIn(cwd, process.execPath, [tsc, ...args, ...files]);
}

/** Packs the built package and installs it into an empty project, without the network. */
export async function installPacked(): Promise<Packed> {
  const project = await mkdtemp(join(tmpdir(), "holdline-package-"));
  // Without scripts: other tests use the build that is there.
  const args = ["pack", "--ignore-scripts", "--silent", "--pack-destination", project];
  const tarball = join(project, (await runIn(ROOT, "npm", args)).trim());
  await writeFile(join(project, "package.json"), '{ "type": "module", "private": true }');
  await runIn(project, "npm", ["install", "--offline", "--no-audit", "--no-fund", "--silent", tarball]);
  return {
    project,
    tarball,
    async link(...names) {
      for (const name of names) {
        const path = join(project, "node_modules", name);
        await mkdir(dirname(path), { recursive: true });
        await rm(path, { force: true });
        await symlink(dirname(resolve(`${name}/package.json`)), path);
      }
    },
    remove: () => rm(project, { recursive: true }),
  };
}
