/** Real processes that are killed, that start at once, and that meet a limit of the system. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { compare } from "../conformance/person.js";
import { rests, startPoster } from "./file-process.js";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdline-kill-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const idsOf = (list: string) => list.split(",").filter((id) => id !== "");

test("killed again and again under load from eight posters, it has everything it kept or showed, once, in order", async () => {
  // Few, so that it is often killed in a rewrite.
  const keep = 150;
  let kept: string[] = [];
  let shown: string[] = [];
  let lastFloor = "0-0";
  let rewrites = 0;
  let inode = 0;
  for (let life = 0; life <= 20; life++) {
    const poster = startPoster({ folder, keep });
    const [, floor = "", list = ""] = (await poster.tells("open")).split(" ");
    const found = idsOf(list);
    expect(found).toEqual([...new Set(found)].toSorted(compare));
    const has = new Set(found);
    for (const id of [...kept, ...shown]) if (compare(id, floor) > 0) expect(has).toContain(id);
    // What is missing was pushed out by newer ones.
    expect(compare(floor, lastFloor)).toBeGreaterThanOrEqual(0);
    if (life > 0 && floor !== lastFloor) expect(found).toHaveLength(keep);
    lastFloor = floor;
    poster.command("flood");
    await poster.tells("kept", 1 + Math.floor(Math.random() * 150));
    await poster.kill();
    kept = rests(poster.told, "kept ");
    shown = rests(poster.told, "shown ");
    expect(new Set(shown)).toEqual(new Set([...shown, ...kept]));
    for (const said of rests(poster.told, "said "))
      expect(said).toMatch(/the last line was not written to its end/);
    const { ino } = statSync(join(folder, "messages.jsonl"));
    if (ino !== inode) rewrites++;
    inode = ino;
  }
  expect(rewrites).toBeGreaterThan(3);
  expect(readdirSync(folder).filter((name) => name.includes("damaged"))).toEqual([]);
});

test("of three that start at once in the folder of a killed one, one gets it, and the others say why not", async () => {
  for (let round = 0; round < 3; round++) {
    const posters = [1, 2, 3].map(() => startPoster({ folder, keep: 10 }));
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

test("at a limit of the system posts are refused, and go on when it is lifted, without a restart", async () => {
  // A file of at most 128 blocks (of 512 or 1,024 bytes, as the shell likes), which a superuser may raise again.
  const poster = startPoster({ folder, keep: 1000, text: "x".repeat(1000), before: "ulimit -S -f 128;" });
  await poster.tells("open");
  poster.command("flood");
  await poster.tells("refused", 8);
  const kept = rests(poster.told, "kept ");
  expect(kept.length).toBeGreaterThan(20);
  expect(rests(poster.told, "said ")).toEqual([expect.stringMatching(/messages cannot be kept.*EFBIG/)]);
  poster.command("writable");
  expect(await poster.tells("writable")).toBe("writable false");
  const mended = poster.tells("said");
  execFileSync("prlimit", ["--pid", `${poster.pid}`, "--fsize=unlimited:"]);
  expect(await mended).toMatch("messages are kept again");
  poster.command("post");
  kept.push((await poster.tells("kept")).slice("kept ".length));
  expect(rests(poster.told, "shown ")).toEqual(kept);
  await poster.close();
  const again = startPoster({ folder, keep: 1000 });
  expect((await again.tells("open")).split(" ")[2]).toBe(kept.join());
  expect(rests(again.told, "said ")).toEqual([]);
});
