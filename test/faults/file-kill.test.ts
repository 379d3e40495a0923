/** Real processes that are killed under load, and that start at once: fifty times, in some folders at the same time. */
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { rests, startPoster } from "./file-process.js";
import { compareIds, newestOf, newFolder } from "./file-store.js";

const FOLDERS = 5;
const ROUNDS = 10;
// Few, so that a store is often killed when it begins a segment.
const KEEP = 30;

/** Runs rounds in each of some new folders. */
const inFolders = (rounds: (folder: string) => Promise<void>) =>
  Promise.all(Array.from({ length: FOLDERS }, () => rounds(newFolder())));

test("a store that is killed again and again under eight posters has every kept or shown message once, in order", async () => {
  await inFolders(async (folder) => {
    let [kept, shown]: [string[], string[]] = [[], []];
    let lastFloor = "0-0";
    for (let life = 0; life <= ROUNDS; life++) {
      const poster = startPoster(folder, KEEP);
      const [, lastPrunedId = "", list = ""] = (await poster.tells("open")).split(" ");
      const found = list.split(",").filter((id) => id !== "");
      expect(found).toEqual([...new Set(found)].toSorted(compareIds));
      const has = new Set(found);
      for (const id of [...kept, ...shown]) if (compareIds(id, lastPrunedId) > 0) expect(has).toContain(id);
      // What is missing was pushed out by newer ones.
      expect(compareIds(lastPrunedId, lastFloor)).toBeGreaterThanOrEqual(0);
      if (life > 0 && lastPrunedId !== lastFloor) expect(found).toHaveLength(KEEP);
      lastFloor = lastPrunedId;
      poster.command("flood");
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
      const posters = [1, 2].map(() => startPoster(folder, KEEP));
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
