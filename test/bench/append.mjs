/**
 * The cost of a kept message: eight posters at the file store, beside bare writes of the same bytes, each with its own
 * fdatasync. They take turns, because the speed of a disk changes. Then the time to open 100,000 messages.
 * BASELINE=/other/dist measures another build in turn; ROUNDS=9. Run after `npm run build`.
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
import { builds, Lines } from "./report.mjs";

const ROUNDS = Number(process.env.ROUNDS ?? 9);
const MESSAGES = 800;
const POSTERS = 8;
const KEPT = 100_000;
const TEXT = "A message of the length that people write.";

// Not in the system's folder for temporary files, because that may be memory.
const folder = mkdtempSync(fileURLToPath(new URL("append-", import.meta.url)));
const results = new Lines();
try {
  const all = builds();
  // The first round warms up.
  for (let round = 0; round <= ROUNDS; round++)
    for (const [name, dist] of all) {
      const { lines, micros } = await posters(dist, join(folder, `${name}-${round}`));
      const bare = bareAppends(join(folder, `bare-${name}-${round}`), lines);
      if (round === 0) continue;
      results.add(`${name}: ${POSTERS} posters, µs per message`, micros);
      results.add(`${name}: bare fdatasync append beside it, µs`, bare);
      results.add(`${name}: ratio`, micros / bare);
    }
  for (const messages of [KEPT, 2 * KEPT]) {
    for (const [name, dist] of all) await fill(dist, join(folder, `${name}-${messages}`), messages);
    for (let round = 0; round < ROUNDS; round++)
      for (const [name, dist] of all) {
        const ms = await reopen(dist, join(folder, `${name}-${messages}`));
        results.add(`${name}: opens ${messages} messages and keeps ${KEPT}, ms`, ms);
      }
  }
  results.print();
} finally {
  rmSync(folder, { recursive: true });
}

async function open(dist, folder, keep, expected = 0) {
  const { FileStore } = await import(new URL("index.js", dist));
  // Older builds take `keep` as an option.
  const store = new FileStore({ folder, keep, warn: console.error });
  const { messages } = await store.open(() => {}, undefined, keep);
  if (messages.length !== expected) throw new Error(`${messages.length} messages are there, not ${expected}`);
  return store;
}

async function posters(dist, folder) {
  const store = await open(dist, folder, MESSAGES);
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

async function fill(dist, folder, messages) {
  const store = await open(dist, folder, KEPT);
  let key = 0;
  const post = () => store.append({ user: "poster", text: TEXT, key: `${key++}` });
  while (key < messages) await Promise.all(Array.from({ length: 10_000 }, post));
  await store.close();
}

async function reopen(dist, folder) {
  const start = performance.now();
  const store = await open(dist, folder, KEPT, KEPT);
  const ms = performance.now() - start;
  await store.close();
  return ms;
}
