/**
 * Three processes on one Redis, 200 readers, and one fault after another. STORM_S=135 lets it take 135 seconds; by default
 * each fault comes once.
 */
import { setTimeout as delay } from "node:timers/promises";
import { createClient } from "redis";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ask } from "../wire/person.js";
import { type Redis, startRedis } from "../wire/redis.js";
import { type Server, startServer } from "../wire/server.js";
import { startProxy, type TcpProxy } from "./proxy.js";
import { startSwarm } from "./swarm.js";

const STORM_MS = Number(process.env.STORM_S ?? 0) * 1000;
vi.setConfig({ testTimeout: 240_000 + 2 * STORM_MS });

let redis: Redis;
/** The third process reaches Redis through it. */
let proxy: TcpProxy;
let servers: Server[];
let urls: string[];
/** All processes that were started. */
let started: Server[];
beforeEach(async () => {
  redis = await startRedis();
  proxy = await startProxy(redis.port);
  started = [];
  servers = await Promise.all([0, 1, 2].map(start));
  urls = servers.map(({ url }) => url);
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop("SIGKILL")));
  proxy.close();
  await redis.stop();
});

async function start(n: number): Promise<Server> {
  const port = n === 2 ? proxy.port : redis.port;
  const server = await startServer("--redis", `redis://127.0.0.1:${port}`, "--backlog", "100000");
  started.push(server);
  return server;
}

async function restart(n: number, signal: NodeJS.Signals): Promise<void> {
  await servers[n]?.stop(signal);
  servers[n] = await start(n);
  urls[n] = servers[n].url;
}

const health = async (url: string) => (await ask(`${url}/healthz`)).status;
const untilHealth = async (url: string, status: number) => {
  while ((await health(url)) !== status) await delay(20);
};
const untilAll = async (status: number) => {
  await Promise.all(urls.map((url) => untilHealth(url, status)));
};
async function command(words: string): Promise<void> {
  const client = createClient({ url: redis.url });
  client.on("error", () => {});
  await client.connect();
  await client.sendCommand(words.split(" "));
  client.destroy();
}

/** What the processes have logged: how often posts were refused, and kept again. */
function logged(): [lost: number, back: number] {
  const lines = started.flatMap((server) => server.stderr().split("\n").filter(Boolean));
  const count = (words: RegExp) => lines.filter((line) => words.test(line)).length;
  const [lost, back] = [
    count(/: messages cannot be kept, posts are refused: /),
    count(/: messages are kept again$/),
  ];
  expect(lost + back).toBe(lines.length);
  return [lost, back];
}

/** A fault that lasts until the processes that it hurts report it. */
const lasting = (begin: () => unknown, end: () => unknown, untilHurt = () => untilAll(503)) => {
  return async () => {
    await begin();
    await untilHurt();
    await end();
  };
};
const between = (begin: string, end: string) =>
  lasting(
    () => command(begin),
    () => command(end),
  );
const signal = (name: "SIGSTOP" | "SIGCONT") => () => redis.signal(name);
const cutOff = () => untilHealth(urls[2] ?? "", 503);

/** The faults, in words, and how many processes each one hurts. It is over, and all processes work again, before the next. */
const FAULTS: readonly (readonly [string, () => Promise<void>, hurt: number])[] = [
  ["Redis stops, and goes on", lasting(signal("SIGSTOP"), signal("SIGCONT")), 3],
  ["Redis is killed, and starts again", () => lasting(redis.kill, redis.start)(), 3],
  ["one process is cut off from Redis", () => lasting(proxy.hold, proxy.release, cutOff)(), 1],
  ["scripts are flushed", () => command("SCRIPT FLUSH"), 0],
  ["one process is killed", () => restart(0, "SIGKILL"), 0],
  ["one process is restarted", () => restart(1, "SIGTERM"), 0],
  // A replica of nobody keeps its data.
  ["Redis is read-only", between("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"), 3],
  ["Redis is out of memory", between("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"), 3],
  ["all clients are cut off", () => command("CLIENT KILL TYPE normal SKIPME yes"), 3],
];

test("a storm of faults loses no message, doubles none, and everybody sees one order", async () => {
  const begin = performance.now();
  const swarm = await startSwarm(urls, 200, 8, 100);
  const untilMore = async () => {
    const before = swarm.kept();
    while (swarm.kept() < before + 20) await Promise.race([delay(20), swarm.done]);
  };
  let faults = 0;
  do {
    for (const [what, fault, hurt] of FAULTS) {
      await untilMore();
      // On a busy machine, Redis may have been too slow for a process.
      while (logged()[0] > logged()[1]) await delay(20);
      const [lost, back] = logged();
      await fault();
      faults++;
      await untilAll(200);
      while (logged()[1] < back + hurt) await delay(20);
      expect([what, ...logged()]).toEqual([what, lost + hurt, back + hurt]);
    }
  } while (performance.now() - begin < STORM_MS);
  await untilMore();
  swarm.finish();
  await swarm.done;
  expect([...swarm.refused].filter((status) => status !== "cut off")).toEqual([503]);
  if (STORM_MS > 0) {
    const seconds = Math.round((performance.now() - begin) / 1000);
    console.log(`${seconds} s, ${faults} faults, ${swarm.kept()} messages seen by 200 readers in one order`);
  }
});
