/** Runs `file-poster.mjs`: a file store in a process of its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

const POSTER = fileURLToPath(new URL("file-poster.mjs", import.meta.url));

export interface Poster {
  /** Each thing it told, a line each. */
  readonly told: string[];
  command(text: "flood"): void;
  /** Waits until it has told something that begins so, `count` times from now on; gives the last. */
  tells(beginning: string, count?: number): Promise<string>;
  kill(): Promise<void>;
  /** Lets it close its store. */
  end(): Promise<void>;
}

export function startPoster(folder: string, keep: number): Poster {
  const child = spawn(process.execPath, [POSTER, folder, `${keep}`], { stdio: ["pipe", "pipe", "inherit"] });
  const told: string[] = [];
  const listeners = new Set<(line: string) => void>();
  createInterface({ input: child.stdout }).on("line", (line) => {
    told.push(line);
    for (const listener of listeners) listener(line);
  });
  const ended = once(child, "close").then(([code, signal]) => (code ?? signal) as number | string);
  const kill = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  onTestFinished(kill);
  return {
    told,
    command: (text) => child.stdin.write(`${text}\n`),
    tells(beginning, count = 1) {
      let left = count;
      return new Promise((resolve, reject) => {
        const listener = (line: string) => {
          if (!line.startsWith(beginning) || --left > 0) return;
          listeners.delete(listener);
          resolve(line);
        };
        listeners.add(listener);
        void ended.then((status) =>
          reject(new Error(`ended with ${status} before "${beginning}": ${told.at(-1)}`)),
        );
      });
    },
    kill,
    async end() {
      child.stdin.end();
      await ended;
    },
  };
}

/** The rest of each line that begins so. */
export function rests(told: readonly string[], beginning: string): string[] {
  return told.filter((line) => line.startsWith(beginning)).map((line) => line.slice(beginning.length));
}
