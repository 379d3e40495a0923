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
beforeEach(async () => {
  redis = await startRedis();
  proxy = await startProxy(redis.port);
  servers = await Promise.all([0, 1, 2].map(start));
  urls = servers.map(({ url }) => url);
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop("SIGKILL")));
  proxy.close();
  await redis.stop();
});

function start(n: number): Promise<Server> {
  const port = n === 2 ? proxy.port : redis.port;
  return startServer("--redis", `redis://127.0.0.1:${port}`, "--backlog", "100000");
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

/** The faults, in words. Each one is over, and all processes work again, before the next one. */
const FAULTS: readonly (readonly [string, () => Promise<void>])[] = [
  [
    "Redis stops, and goes on",
    async () => {
      redis.signal("SIGSTOP");
      await untilAll(503);
      redis.signal("SIGCONT");
    },
  ],
  [
    "Redis is killed, and starts again",
    async () => {
      await redis.kill();
      await untilAll(503);
      await redis.start();
    },
  ],
  [
    "one process is cut off from Redis",
    async () => {
      proxy.hold();
      await untilHealth(urls[2] ?? "", 503);
      proxy.release();
    },
  ],
  ["scripts are flushed", () => command("SCRIPT", "FLUSH")],
  ["one process is killed", () => restart(0, "SIGKILL")],
  ["one process is restarted", () => restart(1, "SIGTERM")],
  [
    "Redis is read-only",
    async () => {
      // A replica of nobody keeps its data.
      await command("REPLICAOF", "127.0.0.1", "1");
      await untilAll(503);
      await command("REPLICAOF", "NO", "ONE");
    },
  ],
  [
    "Redis is out of memory",
    async () => {
      await command("CONFIG", "SET", "maxmemory", "1");
      await untilAll(503);
      await command("CONFIG", "SET", "maxmemory", "0");
    },
  ],
  ["all clients are cut off", () => command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")],
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
    for (const [, fault] of FAULTS) {
      await untilMore();
      await fault();
      faults++;
      await untilAll(200);
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
