/**
 * The time from a post to the reply of a poll: in one process, and from one process to another over Redis, in turns.
 * `redis-server --port 6400 --appendonly yes & npm run build && node test/bench/cluster.mjs redis://127.0.0.1:6400`
 */
import http from "node:http";
import { ask, login, post, sleep, start, stop } from "../faults/people.mjs";
import { Lines, median } from "./report.mjs";

const ROUNDS = 7;
const POSTS = 100;
const agent = new http.Agent({ keepAlive: true });

/** Returns the median time from before a post at one process to the reply of a poll that is held at another, in ms. */
async function latency(poster, reader, round) {
  const [ann, bob] = [`ann${round}`, `bob${round}`];
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
  const times = [];
  for (let n = 0; n < POSTS; n++) {
    const answered = reply(`${round} ${n}`);
    await sleep(5);
    const from = performance.now();
    await post(poster.port, ann, annsCookie, `${round} ${n}`, agent);
    times.push((await answered) - from);
  }
  return median(times);
}

const url = `${process.argv[2] ?? "redis://127.0.0.1:6379"}?prefix=bench-${process.pid}`;
const memory = await start();
const [one, two] = [await start("--redis", url), await start("--redis", url)];
const results = new Lines();
for (let round = 0; round <= ROUNDS; round++) {
  const alone = await latency(memory, memory, round);
  const across = await latency(one, two, round);
  // The first round warms up.
  if (round === 0) continue;
  results.add("in one process, ms", alone);
  results.add("from one process to another, ms", across);
  results.add("more, ms", across - alone);
}
results.print();
agent.destroy();
for (const server of [memory, one, two]) await stop(server);
