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
async function command(...args: string[]): Promise<void> {
  const client = createClient({ url: redis.url });
  client.on("error", () => {});
  await client.connect();
  await client.sendCommand(args);
  client.destroy();
}

/** What the processes have logged: how often posts were refused, and kept again. */
function logged(): [lost: number, back: number] {
  const lines = started.flatMap((server) => server.stderr().split("\n").filter(Boolean));
  const lost = lines.filter((line) => /: messages cannot be kept, posts are refused: /.test(line)).length;
  const back = lines.filter((line) => /: messages are kept again$/.test(line)).length;
  expect(lost + back).toBe(lines.length);
  return [lost, back];
}

/**
 * The faults, in words, and how many processes each one hurts. It is over, and all processes work again, before the next.
 */
const FAULTS: readonly (readonly [string, () => Promise<void>, hurt: number])[] = [
  [
    "Redis stops, and goes on",
    async () => {
      redis.signal("SIGSTOP");
      await untilAll(503);
      redis.signal("SIGCONT");
    },
    3,
  ],
  [
    "Redis is killed, and starts again",
    async () => {
      await redis.kill();
      await untilAll(503);
      await redis.start();
    },
    3,
  ],
  [
    "one process is cut off from Redis",
    async () => {
      proxy.hold();
      await untilHealth(urls[2] ?? "", 503);
      proxy.release();
    },
    1,
  ],
  ["scripts are flushed", () => command("SCRIPT", "FLUSH"), 0],
  ["one process is killed", () => restart(0, "SIGKILL"), 0],
  ["one process is restarted", () => restart(1, "SIGTERM"), 0],
  [
    "Redis is read-only",
    async () => {
      // A replica of nobody keeps its data.
      await command("REPLICAOF", "127.0.0.1", "1");
      await untilAll(503);
      await command("REPLICAOF", "NO", "ONE");
    },
    3,
  ],
  [
    "Redis is out of memory",
    async () => {
      await command("CONFIG", "SET", "maxmemory", "1");
      await untilAll(503);
      await command("CONFIG", "SET", "maxmemory", "0");
    },
    3,
  ],
  ["all clients are cut off", () => command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"), 3],
];

test("a storm of faults loses no message, doubles none, and everybody sees one order", async () => {
  const begin = performance.now();
  const swarm = await startSwarm(urls, { clients: 200, posters: 8, pause: 100 });
  const untilMore = async () => {
    const before = swarm.kept();
    while (swarm.kept() < before + 20) {
      await Promise.race([delay(20), swarm.done]);
    }
  };
  let faults = 0;
  do {
    for (const [what, fault, hurt] of FAULTS) {
      await untilMore();
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
  expect(swarm.refused.get(503)).toBeGreaterThan(0);
  const statuses = [...swarm.refused.keys()].filter((status) => status !== "cut off");
  expect(statuses).toEqual([503]);
  if (STORM_MS > 0) {
    const seconds = Math.round((performance.now() - begin) / 1000);
    console.log(
      `${seconds} s, ${faults} faults, ${swarm.kept()} messages, 200 readers saw them in one order`,
    );
  }
});
