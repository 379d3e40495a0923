/** The documents of the package, and their code blocks. */
import type { ExecFileOptions } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT, runIn } from "./packed.js";

export interface Block {
  /** The document and the line, for example `README.md:21`. */
  readonly place: string;
  readonly lang: string;
  /** Whether `commands.test.ts` runs it, with stubs for programs that install or measure something. */
  readonly stubs: boolean;
  readonly code: string;
}

const guides = readdirSync(join(ROOT, "docs")).filter((name) => name.endsWith(".md"));
const names = ["README.md", "README.zh-CN.md", "SECURITY.md", "CHANGELOG.md"];
names.push(...guides.map((name) => `docs/${name}`));

/** The text of each document by its name. */
export const texts = new Map(names.map((name) => [name, readFileSync(join(ROOT, name), "utf8")]));

export const blocks: Block[] = [...texts].flatMap(([name, text]) =>
  [...text.matchAll(/^ *```(\w*)(.*)\n([\s\S]*?)^ *```$/gm)].map((match) => {
    const [, lang = "", info = "", code = ""] = match;
    const line = text.slice(0, match.index).split("\n").length;
    return { place: `${name}:${line}`, lang, stubs: info.trim() === "stubs", code };
  }),
);

/** Returns the blocks in these languages, each with its place as the name of a test. Documents in two languages share most. */
export function select(...langs: string[]): [place: string, block: Block][] {
  const found = blocks.filter(({ lang }) => langs.includes(lang));
  const byCode = new Map(found.map((block) => [block.code, block]));
  return [...byCode.values()].map((block) => [block.place, block]);
}

/** Returns the blocks that run with or without stubs in both shells, each with its place as the name of a test. */
export function shellBlocks(stubs: boolean): [place: string, shell: string, code: string][] {
  const found = select("sh").filter(([, block]) => block.stubs === stubs);
  return found.flatMap(([place, { code }]) =>
    ["bash", "zsh"].map((shell) => [place, shell, code] as [string, string, string]),
  );
}

/** Runs the commands of a block. */
export function runShell(shell: string, cwd: string, code: string, options: ExecFileOptions = {}) {
  const flags = shell === "bash" ? ["-euo", "pipefail"] : ["-f", "-eu", "-o", "pipefail"];
  return runIn(cwd, shell, [...flags, "-c", code], options);
}
