/**
 * The time of a start: `createChat` in a fresh process, and the program until it listens, with an empty folder and with
 * 200,000 kept messages. BASELINE=/other/dist measures another build in turn; ROUNDS=7. Run after `npm run build`.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { builds, Lines } from "./report.mjs";

const KEPT = 200_000;
const folder = mkdtempSync(join(tmpdir(), "holdline-start-"));
const results = new Lines();
try {
  const all = builds();
  for (const [name, dist] of all) await fill(join(folder, name), dist);
  for (let round = 0; round < Number(process.env.ROUNDS ?? 7); round++)
    for (const [name, dist] of all) {
      results.add(`${name}: createChat, ms`, createChat(dist));
      const empty = await listen(dist, join(folder, `${name}-empty-${round}`));
      results.add(`${name}: listens with an empty folder, ms`, empty.ms);
      const full = await listen(dist, join(folder, name));
      results.add(`${name}: listens with ${KEPT} kept messages, ms`, full.ms);
      results.add(`${name}: resident memory then, MiB`, full.mib);
    }
  results.print();
} finally {
  rmSync(folder, { recursive: true });
}

async function fill(folder, dist) {
  const { FileStore } = await import(new URL("index.js", dist));
  const store = new FileStore({ folder, keep: KEPT, warn: console.error });
  await store.open(() => {}, undefined, KEPT);
  const post = () => store.append({ user: "poster", text: "A message of the length that people write." });
  for (let n = 0; n < KEPT; n += 10_000) await Promise.all(Array.from({ length: 10_000 }, post));
  await store.close();
}

/** In milliseconds, without the time of the import. */
function createChat(dist) {
  const script = `import { createChat } from "${new URL("index.js", dist)}";
    const start = performance.now();
    createChat();
    console.log(performance.now() - start);
    process.exit();`;
  return Number(execFileSync(process.execPath, ["--input-type=module", "--eval", script]));
}

async function listen(dist, folder) {
  const start = performance.now();
  const flags = ["--port", "0", "--data", folder, "--backlog", `${KEPT}`];
  const child = spawn(process.execPath, [new URL("server.js", dist).pathname, ...flags]);
  await once(child.stdout, "data");
  const ms = performance.now() - start;
  const [, kib] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"));
  child.kill();
  await once(child, "exit");
  return { ms, mib: kib / 1024 };
}
