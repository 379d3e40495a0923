/**
 * The time from a post to the reply of a held poll, in turns: in one process without Redis, in one process over Redis, and from
 * one process to another over Redis. FILL=1 as in bench.mjs. Run after `npm run build`, with redis-server installed.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findContenders } from "./contenders.mjs";
import { Connection } from "./load.mjs";
import { percentile, Table } from "./report.mjs";
import { Server, startNode } from "./server.mjs";

const WARM_UP = 50;
const POSTS = 700;
const REDIS_PORT = 18_098;
const PROGRAM = new URL("../../dist/server.js", import.meta.url);
const FLAGS = "--port 0 --data none --post-rate 0 --login-rate 0".split(" ");
const [, holdline] = findContenders(["holdline"]);
let people = 0;

/** Returns a function that posts at one process and measures until the reply at the other, in ms. */
async function pair(poster, reader) {
  const [posts, polls] = [await Connection.open(poster.port), await Connection.open(reader.port)];
  const { ticket } = await holdline.enter(posts, people++);
  const client = await holdline.enter(polls, people++);
  const reply = async (text) => {
    for (;;) {
      const { cursor, texts } = holdline.read(await polls.exchange(holdline.poll(client)));
      client.cursor = cursor;
      if (texts.includes(text)) return performance.now();
    }
  };
  return async (text) => {
    const answered = reply(text);
    await sleep(5);
    const from = performance.now();
    await posts.exchange(holdline.post(ticket, text));
    return (await answered) - from;
  };
}

if (spawnSync("redis-server", ["--version"]).status !== 0) {
  console.error("without the cluster, because Redis is not installed: apt-get install redis-server");
  process.exit();
}
const folder = mkdtempSync(join(tmpdir(), "holdline-bench-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const redis = `redis-server --port ${REDIS_PORT} --appendonly yes --dir ${folder} >/dev/null`;
await Server.startAt(REDIS_PORT, redis);
const start = (...flags) => startNode(PROGRAM, ...FLAGS, ...flags);
const url = `redis://127.0.0.1:${REDIS_PORT}`;
const memory = await start();
const [one, two] = [await start("--redis", url), await start("--redis", url)];
const pairs = {
  "one process without Redis": await pair(memory, memory),
  "one process with Redis": await pair(one, one),
  "from one process to another": await pair(one, two),
};
const times = new Map(Object.keys(pairs).map((name) => [name, []]));
for (let n = 0; n < WARM_UP + POSTS; n++)
  for (const [name, measure] of Object.entries(pairs)) {
    const ms = await measure(`${name} ${n}`);
    if (n >= WARM_UP) times.get(name).push(ms);
  }
const table = new Table();
for (const [name, all] of times) {
  const [low, middle, high] = [0.1, 0.5, 0.9].map((share) => percentile(all, share));
  table.add(name, { "p50 ms": middle, "p10 ms": low, "p90 ms": high });
}
table.print("cluster");
process.exit();
