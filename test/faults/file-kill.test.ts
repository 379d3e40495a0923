/** Real processes that are killed under load, and that start at once. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { rests, startPoster } from "./file-process.js";
import { compareIds, newestOf } from "./file-store.js";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdline-kill-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const idsOf = (list: string) => list.split(",").filter((id) => id !== "");

test("a store that is killed again and again under eight posters has every kept or shown message once, in order", async () => {
  // Few, so that it is often killed when it begins a segment.
  const keep = 30;
  let kept: string[] = [];
  let shown: string[] = [];
  let lastFloor: string = "0-0";
  for (let life = 0; life <= 8; life++) {
    const poster = startPoster(folder, keep);
    const [, lastPrunedId, list = ""] = (await poster.tells("open")).split(" ") as [string, string, string];
    const found = idsOf(list);
    expect(found).toEqual([...new Set(found)].toSorted(compareIds));
    const has = new Set(found);
    for (const id of [...kept, ...shown]) if (compareIds(id, lastPrunedId) > 0) expect(has).toContain(id);
    // What is missing was pushed out by newer ones.
    expect(compareIds(lastPrunedId, lastFloor)).toBeGreaterThanOrEqual(0);
    if (life > 0 && lastPrunedId !== lastFloor) expect(found).toHaveLength(keep);
    lastFloor = lastPrunedId;
    poster.command("flood");
    await poster.tells("kept", 1 + Math.floor(Math.random() * 150));
    await poster.kill();
    kept = rests(poster.told, "kept ");
    shown = rests(poster.told, "shown ");
    expect(new Set(shown)).toEqual(new Set([...shown, ...kept]));
    expect(rests(poster.told, "said ")).toEqual([]);
  }
  expect(readdirSync(folder).filter((name) => name.endsWith(".damaged"))).toEqual([]);
  // One for each life, and many that were full.
  expect(Number(/(\d+)\.jsonl$/.exec(newestOf(folder))?.[1])).toBeGreaterThan(10);
});

test("of three stores that start at once in the folder of a killed one, one opens it and two are refused", async () => {
  for (let round = 0; round < 3; round++) {
    const posters = [1, 2, 3].map(() => startPoster(folder, 10));
    const outcomes = await Promise.all(
      posters.map((poster) =>
        poster.tells("open").then(
          () => "open",
          () => poster.told.join(),
        ),
      ),
    );
    expect(outcomes.toSorted()).toEqual([
      "open",
      ...Array(2).fill(
        `said cannot keep messages in ${folder}: another process uses it; stop that one, or take another folder`,
      ),
    ]);
    await Promise.all(posters.map((poster) => poster.kill()));
  }
});
