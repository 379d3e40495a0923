/**
 * The time from a post to the reply of a held poll, in turns: in one process without Redis, in one process over Redis, and from
 * one process to another over Redis.
 * `redis-server --port 6400 --appendonly yes & npm run build && node test/bench/cluster.mjs redis://127.0.0.1:6400`
 */
import http from "node:http";
import { ask, login, post, sleep, start, stop } from "../faults/people.mjs";
import { percentile } from "./report.mjs";

const WARM_UP = 50;
const POSTS = 700;
const agent = new http.Agent({ keepAlive: true });

/** Returns a function that posts at one process and measures until the reply at the other, in ms. */
async function pair(poster, reader, what) {
  const [ann, bob] = [`ann ${what}`, `bob ${what}`].map(encodeURIComponent);
  const [annsCookie, Cookie] = [await login(poster.port, ann), await login(reader.port, bob)];
  let cursor = "0";
  const reply = async (text) => {
    for (;;) {
      const path = `/get_post/${bob}?since=${cursor}&wait=30&client=b`;
      const batch = JSON.parse((await ask(reader.port, path, { headers: { Cookie }, agent })).body);
      ({ cursor } = batch);
      if (batch.messages.some((message) => message.text === text)) return performance.now();
    }
  };
  return async (text) => {
    const answered = reply(text);
    await sleep(5);
    const from = performance.now();
    await post(poster.port, ann, annsCookie, text, agent);
    return (await answered) - from;
  };
}

const url = `${process.argv[2] ?? "redis://127.0.0.1:6379"}?prefix=bench-${process.pid}`;
const memory = await start();
const [one, two] = [await start("--redis", url), await start("--redis", url)];
const pairs = new Map([
  ["memory", await pair(memory, memory, "m")],
  ["within", await pair(one, one, "w")],
  ["across", await pair(one, two, "a")],
]);
const times = new Map([...pairs.keys()].map((what) => [what, []]));
for (let n = 0; n < WARM_UP + POSTS; n++)
  for (const [what, measure] of pairs) {
    const ms = await measure(`${what} ${n}`);
    if (n >= WARM_UP) times.get(what).push(ms);
  }
for (const [what, all] of times) {
  const [low, middle, high] = [0.1, 0.5, 0.9].map((share) => percentile(all, share).toFixed(1));
  console.log(`${what}: p50 ${middle} ms, p10 ${low} ms, p90 ${high} ms`);
}
agent.destroy();
for (const server of [memory, one, two]) await stop(server);
