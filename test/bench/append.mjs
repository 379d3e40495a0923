/**
 * What a kept message costs: eight posters at the file store, beside one bare write and fdatasync after the other of
 * the same bytes. Both in turn, several rounds in one run, since a disk's mood changes. Run after `npm run build`.
 */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { FileStore } from "../../dist/store/file.js";

const ROUNDS = 9;
const MESSAGES = 800;
const POSTERS = 8;

// Not in the system's folder for temporary files, which may be memory.
const folder = mkdtempSync("append-");
try {
  const rounds = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const { lines, micros } = await posters(join(folder, `posters-${round}`));
    const bare = bareAppends(join(folder, `bare-${round}`), lines);
    // The first round warms up.
    if (round > 0) rounds.push({ posters: micros, bare, ratio: micros / bare });
  }
  console.log(`per message, median of ${ROUNDS} rounds (lowest to highest), ${MESSAGES} messages each`);
  console.log(`  file store, ${POSTERS} posters  ${spread(rounds.map((round) => round.posters))} µs`);
  console.log(`  bare fdatasync append  ${spread(rounds.map((round) => round.bare))} µs`);
  console.log(
    `  ratio                  ${spread(
      rounds.map((round) => round.ratio),
      2,
    )}  (no more than 1.5 is wanted)`,
  );
} finally {
  rmSync(folder, { recursive: true });
}

async function posters(folder) {
  const store = new FileStore({ folder, keep: MESSAGES, warn: console.error });
  await store.open(() => {});
  let left = MESSAGES;
  const poster = async (_, i) => {
    while (left-- > 0)
      await store.append({ user: `poster-${i}`, text: "What is said in a room, about so long." });
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: POSTERS }, poster));
  const micros = ((performance.now() - start) * 1000) / MESSAGES;
  await store.close();
  const [, ...lines] = readFileSync(join(folder, "messages.jsonl"), "utf8").trimEnd().split("\n");
  if (lines.length !== MESSAGES) throw new Error(`${lines.length} of ${MESSAGES} messages were kept`);
  return { lines, micros };
}

function bareAppends(path, lines) {
  const file = openSync(path, "a");
  const start = performance.now();
  for (const line of lines) {
    writeSync(file, `${line}\n`);
    fdatasyncSync(file);
  }
  const micros = ((performance.now() - start) * 1000) / lines.length;
  closeSync(file);
  return micros;
}

function spread(figures, digits = 0) {
  const sorted = figures.toSorted((a, b) => a - b);
  const [low, median, high] = [0, sorted.length >> 1, sorted.length - 1].map((i) =>
    sorted[i].toFixed(digits),
  );
  return `${median} (${low} to ${high})`;
}
