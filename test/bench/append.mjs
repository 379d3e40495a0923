/**
 * The cost of a kept message: eight posters at the file store, beside bare writes of the same bytes, each with its own
 * fdatasync. Both alternate in one run, because the speed of a disk changes. Then the time of a restart.
 * Run after `npm run build`.
 */
import {
  closeSync,
  fdatasyncSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { FileStore } from "../../dist/index.js";

const ROUNDS = 9;
const MESSAGES = 800;
const POSTERS = 8;
const REOPENED = 100_000;
const TEXT = "What is said in a room, about so long.";

// Not in the folder of the system for temporary files, because that may be memory.
const folder = mkdtempSync(fileURLToPath(new URL("append-", import.meta.url)));
try {
  const rounds = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const { lines, micros } = await posters(join(folder, `posters-${round}`));
    const bare = bareAppends(join(folder, `bare-${round}`), lines);
    // The first round warms up.
    if (round > 0) rounds.push({ posters: micros, bare, ratio: micros / bare });
  }
  const column = (name, digits) =>
    spread(
      rounds.map((round) => round[name]),
      digits,
    );
  console.log(`${ROUNDS} rounds of ${MESSAGES} messages: median (lowest to highest), per message`);
  console.log(`  file store, ${POSTERS} posters  ${column("posters", 0)} µs`);
  console.log(`  bare fdatasync append  ${column("bare", 0)} µs`);
  console.log(`  ratio                  ${column("ratio", 2)}, the goal is 0.6 or less`);
  for (const messages of [REOPENED, 2 * REOPENED]) {
    const times = await reopenings(join(folder, `reopened-${messages}`), messages);
    console.log(`a file of ${messages} messages, ${REOPENED} to keep, opens in ${spread(times, 0)} ms`);
  }
} finally {
  rmSync(folder, { recursive: true });
}

async function posters(folder) {
  const store = await open(folder, MESSAGES);
  let left = MESSAGES;
  const poster = async (_, i) => {
    while (left-- > 0) await store.append({ user: `poster-${i}`, text: TEXT });
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: POSTERS }, poster));
  const micros = ((performance.now() - start) * 1000) / MESSAGES;
  await store.close();
  const [, ...lines] = readdirSync(folder)
    .filter((name) => name.endsWith(".jsonl"))
    .flatMap((name) => readFileSync(join(folder, name), "utf8").trimEnd().split("\n"));
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

async function reopenings(folder, messages) {
  const store = await open(folder, REOPENED);
  let key = 0;
  const post = () => store.append({ user: "poster", text: TEXT, key: `${key++}` });
  while (key < messages) await Promise.all(Array.from({ length: 10_000 }, post));
  await store.close();
  const times = [];
  for (let n = 0; n < 5; n++) {
    const start = performance.now();
    const again = await open(folder, REOPENED, REOPENED);
    times.push(performance.now() - start);
    await again.close();
  }
  return times;
}

async function open(folder, keep, found = 0) {
  const store = new FileStore({ folder, keep, warn: console.error });
  const { messages } = await store.open(() => {});
  if (messages.length !== found) throw new Error(`${messages.length} messages are there, not ${found}`);
  return store;
}

function spread(figures, digits) {
  const sorted = figures.toSorted((a, b) => a - b);
  const [low, median, high] = [0, sorted.length >> 1, sorted.length - 1].map((i) =>
    sorted[i].toFixed(digits),
  );
  return `${median} (${low} to ${high})`;
}
