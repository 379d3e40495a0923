/** The documents of the package and their code blocks. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { ROOT } from "./packed.js";

export interface Block {
  /** The document and the line, for example `README.md:21`. */
  readonly place: string;
  readonly lang: string;
  /** Whether `commands.test.ts` runs it, with stubs for programs that install or measure something. */
  readonly stubs: boolean;
  readonly code: string;
}

/** Returns the text of each document by its name. */
export async function readDocuments(): Promise<Map<string, string>> {
  const names = ["README.md", "README.zh-CN.md", "SECURITY.md", "CHANGELOG.md"];
  for (const name of await readdir(join(ROOT, "docs"))) if (name.endsWith(".md")) names.push(`docs/${name}`);
  const texts = new Map<string, string>();
  for (const name of names) texts.set(name, await readFile(join(ROOT, name), "utf8"));
  return texts;
}

/** Returns the code blocks of a document. */
export function blocksOf(name: string, text: string): Block[] {
  return [...text.matchAll(/^ *```(\w*)(.*)\n([\s\S]*?)^ *```$/gm)].map((match) => {
    const [, lang = "", info = "", code = ""] = match;
    const line = text.slice(0, match.index).split("\n").length;
    return { place: `${name}:${line}`, lang, stubs: info.trim() === "stubs", code };
  });
}
