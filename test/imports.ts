/**
 * Which imports a house may have: server → chat → room → store, chat → http; the client takes types only; all lean on
 * Node itself and on their own files. Read from the text, so that a made-up house can be tried as well as src/.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, sep } from "node:path";

export interface Import {
  /** The module as it is written. */
  readonly from: string;
  /** Erased when compiled: nothing is loaded. */
  readonly typeOnly: boolean;
  /** An `import()` that runs only when it is come to. */
  readonly later: boolean;
}

/** The source without comments and without what is inside strings, so that only code is left; `"` strings stay. */
function code(source: string): string {
  const token = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/g;
  return source.replace(token, (text) => {
    if (text.startsWith("/")) return " ";
    return text.startsWith('"') ? text : '""';
  });
}

export function importsOf(source: string): Import[] {
  const found: Import[] = [];
  const text = code(source);
  for (const [, clause = "", from = ""] of text.matchAll(
    /^[ \t]*(?:import|export)\b\s*((?:type\b)?[\w\s,{}*$]*?)\s*(?:\bfrom\s*)?"([^"]*)"/gm,
  )) {
    const names = /^\{([^}]*)\}$/
      .exec(clause.trim())?.[1]
      ?.split(",")
      .map((name) => name.trim());
    const allTypes = names?.filter((name) => name !== "").every((name) => name.startsWith("type "));
    found.push({ from, typeOnly: /^type\b/.test(clause) || allTypes === true, later: false });
  }
  for (const [, from = ""] of text.matchAll(/\b(?:import|require)\s*\(\s*("[^"]*"|[^)]*)/g)) {
    found.push({ from: from.replace(/^"|"$/g, ""), typeOnly: false, later: true });
  }
  return found;
}

/** Files of a tree by their path below it, with `/` between names. */
export type Tree = Readonly<Record<string, string>>;

export function readTree(folder: string): Tree {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".ts"),
  );
  return Object.fromEntries(
    files.map((name) => [name.split(sep).join("/"), readFileSync(join(folder, name), "utf8")]),
  );
}

/** The file that a relative import leads to. */
export function target(file: string, from: string): string {
  return normalize(join(dirname(file), from))
    .split(sep)
    .join("/")
    .replace(/\.js$/, ".ts");
}

/** What each part of the house may import from: folders, `.` for the files of src/ itself. */
const MAY: Readonly<Record<string, readonly string[]>> = {
  feed: ["feed"],
  store: ["store"],
  http: ["http"],
  room: ["room", "store"],
  client: ["client"],
  ".": [".", "room", "store", "http", "client"],
};

const part = (file: string) => (file.includes("/") ? (file.split("/")[0] ?? "") : ".");

/** What breaks a rule, one line each. */
export function faults(tree: Tree): string[] {
  const found: string[] = [];
  for (const [file, source] of Object.entries(tree)) {
    for (const { from, typeOnly, later } of importsOf(source)) {
      if (from.startsWith("node:")) {
        if (part(file) === "client" && !typeOnly) found.push(`${file} needs ${from}, which no browser has`);
      } else if (!from.startsWith(".")) {
        // Redis' client is an optional peer: loaded when it is asked for, by the store that needs it.
        const optional = from === "redis" && /^store\/redis\/\w+\.ts$/.test(file) && (typeOnly || later);
        if (!optional) found.push(`${file} depends on ${from}`);
      } else {
        const to = target(file, from);
        const typesForClient = part(file) === "client" && typeOnly;
        if (!(to in tree)) found.push(`${file} imports ${to}, which is not there`);
        else if (!MAY[part(file)]?.includes(part(to)) && !typesForClient) found.push(`${file} imports ${to}`);
        else if (to === "server.ts") found.push(`${file} imports the program`);
      }
    }
    if (file !== "server.ts" && touchesProcess(source)) found.push(`${file} touches process`);
  }
  return [...found, ...cycles(tree)];
}

function touchesProcess(source: string): boolean {
  const words = code(source).replace(/"[^"]*"/g, '""');
  const named = importsOf(source).some(({ from }) => /^(node:)?process$/.test(from));
  // A type (`NodeJS.Process`) or a member of something else is not the process.
  return named || /(?<![.\w$])process\b(?!\s*[:(])|\bglobalThis\s*\.\s*process\b/.test(words);
}

/** Cycles, also those of types alone: two files that need each other are hard to read one after the other. */
function cycles(tree: Tree): string[] {
  const found = new Set<string>();
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const at = path.indexOf(file);
    if (at >= 0) found.add(`cycle: ${[...path.slice(at), file].join(" → ")}`);
    if (at >= 0 || done.has(file)) return;
    for (const { from } of importsOf(tree[file] ?? "")) {
      if (from.startsWith(".")) visit(target(file, from), [...path, file]);
    }
    done.add(file);
  };
  for (const file of Object.keys(tree)) visit(file, []);
  return [...found];
}
