/**
 * The file store: the cost of a kept message with eight posters, beside bare writes of the same bytes, each with its own
 * fdatasync; then the time of a start. All take turns, because the speed of a machine changes. BASELINE=/other/dist measures
 * another build, too; ROUNDS=5; FILL=1 as in bench.mjs. Run after `npm run build`.
 */
import { execFileSync } from "node:child_process";
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
import { builds, Table } from "./report.mjs";
import { startNode } from "./server.mjs";

const ROUNDS = Number(process.env.ROUNDS ?? 5);
const TEXT = "A message of the length that people write.";
const POSTS = 800;
const POSTERS = 8;
const FEW = 100_000;
const MANY = 200_000;

// Not in the system's folder for temporary files, because that may be memory.
const root = mkdtempSync(fileURLToPath(new URL("store-", import.meta.url)));
const folder = (...names) => join(root, names.join("-"));
const [appends, starts] = [new Table(), new Table()];
try {
  for (const [name, dist] of builds())
    for (const messages of [FEW, MANY]) await post(dist, folder(name, messages), messages, 10_000);
  // The first round warms up.
  for (let round = 0; round <= ROUNDS; round++)
    for (const [name, dist] of builds()) {
      const figures = [await append(name, dist, round), await start(name, dist, round)];
      if (round === 0) continue;
      appends.add(name, figures[0]);
      starts.add(name, figures[1]);
    }
  appends.print("append");
  starts.print("start");
} finally {
  rmSync(root, { recursive: true });
}

/** Opens a file store of a build, in which `expected` messages must be. */
async function openStore(dist, folder, keep, expected = 0) {
  const { FileStore } = await import(new URL("index.js", dist));
  const store = new FileStore({ folder, warn: console.error });
  const { messages } = await store.open(() => {}, undefined, keep);
  if (messages.length !== expected) throw new Error(`${messages.length} messages are there, not ${expected}`);
  return store;
}

/** Returns how long this many posters take for all messages, in ms. */
async function post(dist, folder, messages, posters) {
  const store = await openStore(dist, folder, messages);
  let left = messages;
  const poster = async (_, n) => {
    while (left > 0)
      await store.append({ user: `poster-${n}`, text: TEXT, key: `the-key-of-message-${left--}` });
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: posters }, poster));
  const ms = performance.now() - start;
  await store.close();
  return ms;
}

async function append(name, dist, round) {
  const at = folder(name, "posts", round);
  const micros = ((await post(dist, at, POSTS, POSTERS)) * 1000) / POSTS;
  const [, ...lines] = readdirSync(at)
    .filter((name) => name.endsWith(".jsonl"))
    .flatMap((name) => readFileSync(join(at, name), "utf8").trimEnd().split("\n"));
  if (lines.length !== POSTS) throw new Error(`${lines.length} of ${POSTS} messages were kept`);
  const file = openSync(folder(name, "bare", round), "a");
  const start = performance.now();
  for (const line of lines) {
    writeSync(file, `${line}\n`);
    fdatasyncSync(file);
  }
  const bare = ((performance.now() - start) * 1000) / POSTS;
  closeSync(file);
  return { "of bare's": micros / bare, "µs for each message": micros, "bare fdatasync append, µs": bare };
}

async function start(name, dist, round) {
  const bare = await listen(() => startNode("bare"));
  const program = (...names) => {
    const flags = ["--port", "0", "--data", folder(...names), "--backlog", `${MANY}`];
    return listen(() => startNode(new URL("server.js", dist), ...flags));
  };
  const empty = await program(name, "empty", round);
  const full = await program(name, MANY);
  const opening = performance.now();
  await (await openStore(dist, folder(name, FEW), FEW, FEW)).close();
  return {
    "bare listens, ms": bare.ms,
    "listens with an empty folder, ms": empty.ms,
    "of bare's": empty.ms / bare.ms,
    [`listens with ${MANY} messages, ms`]: full.ms,
    "resident memory then, MiB": full.mib,
    [`opens ${FEW} messages, ms`]: performance.now() - opening,
    "createChat, ms": createChat(dist),
  };
}

async function listen(start) {
  const from = performance.now();
  const server = await start();
  const figures = { ms: performance.now() - from, mib: server.memory / 1024 / 1024 };
  await server.stop("SIGTERM");
  return figures;
}

/** In milliseconds, without the time of the import. */
function createChat(dist) {
  const script = `import { createChat } from "${new URL("index.js", dist)}";
    const start = performance.now();
    await createChat();
    console.log(performance.now() - start);
    process.exit();`;
  return Number(execFileSync(process.execPath, ["--input-type=module", "--eval", script]));
}
