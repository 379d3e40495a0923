/** Real processes that are killed under load, and that start at once: fifty times, in some folders at the same time. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { compareIds, newestOf, newFolder } from "./file-store.js";

const FOLDERS = 5;
const ROUNDS = 10;
// Few, so that a store is often killed when it begins a segment.
const KEEP = 30;

const POSTER = fileURLToPath(new URL("file-poster.mjs", import.meta.url));

/** Runs `file-poster.mjs`: a file store in a process of its own, which tells what happens, a line each. */
function startPoster(folder: string) {
  const child = spawn(process.execPath, [POSTER, folder, `${KEEP}`], { stdio: ["pipe", "pipe", "inherit"] });
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
    flood: () => child.stdin.write("flood\n"),
    /** Waits until it has told something that begins so, `count` times from now on; gives the last. */
    tells(beginning: string, count = 1) {
      let left = count;
      return new Promise<string>((resolve, reject) => {
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
    /** Lets it close its store. */
    async end() {
      child.stdin.end();
      await ended;
    },
  };
}

/** The rest of each line that begins so. */
function rests(told: readonly string[], beginning: string): string[] {
  return told.filter((line) => line.startsWith(beginning)).map((line) => line.slice(beginning.length));
}

/** Runs rounds in each of some new folders. */
const inFolders = (rounds: (folder: string) => Promise<void>) =>
  Promise.all(Array.from({ length: FOLDERS }, () => rounds(newFolder())));

test("a store that is killed again and again under eight posters has every kept or shown message once, in order", async () => {
  await inFolders(async (folder) => {
    let [kept, shown]: [string[], string[]] = [[], []];
    let lastFloor = "0-0";
    for (let life = 0; life <= ROUNDS; life++) {
      const poster = startPoster(folder);
      const [, lastPrunedId = "", list = ""] = (await poster.tells("open")).split(" ");
      const found = list.split(",").filter((id) => id !== "");
      expect(found).toEqual([...new Set(found)].toSorted(compareIds));
      const has = new Set(found);
      for (const id of [...kept, ...shown]) if (compareIds(id, lastPrunedId) > 0) expect(has).toContain(id);
      // What is missing was pushed out by newer ones.
      expect(compareIds(lastPrunedId, lastFloor)).toBeGreaterThanOrEqual(0);
      if (life > 0 && lastPrunedId !== lastFloor) expect(found).toHaveLength(KEEP);
      lastFloor = lastPrunedId;
      poster.flood();
      await poster.tells("kept", 1 + Math.floor(Math.random() * 150));
      await poster.kill();
      [kept, shown] = [rests(poster.told, "kept "), rests(poster.told, "shown ")];
      expect(new Set(shown)).toEqual(new Set([...shown, ...kept]));
      expect(rests(poster.told, "said ")).toEqual([]);
    }
    expect(readdirSync(folder).filter((name) => name.endsWith(".damaged"))).toEqual([]);
    // One for each life, and many that were full.
    expect(Number(/(\d+)\.jsonl$/.exec(newestOf(folder))?.[1])).toBeGreaterThan(ROUNDS);
  });
});

test("of two stores that start at once in one folder, one opens it and the other is refused", async () => {
  await inFolders(async (folder) => {
    const refusal = `cannot keep messages in ${folder}: another process uses it`;
    for (let round = 0; round < ROUNDS; round++) {
      const posters = [1, 2].map(() => startPoster(folder));
      const outcomes = posters.map((poster) =>
        poster
          .tells("open")
          .then(() => "open")
          .catch(() => poster.told.join()),
      );
      expect((await Promise.all(outcomes)).toSorted()).toEqual(["open", `said ${refusal}`]);
      // Every second time as a crash: what it leaves must not lock the next two out.
      await Promise.all(posters.map((poster) => (round % 2 ? poster.kill() : poster.end())));
    }
  });
});
