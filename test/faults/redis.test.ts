/** Several processes that share one room in a real Redis: they are killed and restarted, and so is Redis. */
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ask } from "../wire/person.js";
import { type Redis, startRedis } from "../wire/redis.js";
import { type Server, startServer } from "../wire/server.js";
import { type Swarm, startSwarm } from "./swarm.js";

// A busy machine takes long for 150,000 deliveries.
vi.setConfig({ testTimeout: 300_000 });

const SIZE = { clients: 100, posters: 8, messages: 1_500 };
const FLAGS = ["--backlog", "20000"];

let redis: Redis;
let servers: Server[];
/** The URLs of the processes that there are at the moment. */
let urls: string[];
beforeEach(async () => {
  redis = await startRedis();
  servers = await Promise.all([1, 2, 3].map(() => startServer("--redis", redis.url, ...FLAGS)));
  urls = servers.map(({ url }) => url);
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop("SIGKILL")));
  await redis.stop();
});

async function until(isSo: () => boolean | Promise<boolean>, swarm?: Swarm): Promise<void> {
  let over = false;
  swarm?.done.then(
    () => {
      over = true;
    },
    () => {
      over = true;
    },
  );
  while (!(await isSo())) {
    if (over) await swarm?.done;
    if (over) throw new Error("the swarm has already finished");
    await delay(5);
  }
}

const health = async (url: string) => (await ask(`${url}/healthz`)).status;
const logged = () => servers.map((server) => server.stderr().trim().split("\n").filter(Boolean));

test("a killed and a restarted process lose no message, double none, and everybody sees one order", async () => {
  const swarm = await startSwarm(urls, SIZE);
  await until(() => swarm.least() > 300, swarm);
  await servers[1]?.stop("SIGKILL");
  await until(() => swarm.least() > 700, swarm);
  expect(await servers[2]?.stop()).toBe(0);
  servers[2] = await startServer("--redis", redis.url, ...FLAGS);
  urls[2] = servers[2].url;
  await swarm.done;
  expect(logged()).toEqual([[], [], []]);
});

test("a Redis that hangs refuses posts, and loses and doubles no message", async () => {
  const swarm = await startSwarm(urls, SIZE);
  await until(() => swarm.least() > 300, swarm);
  redis.signal("SIGSTOP");
  await until(async () => (await Promise.all(urls.map(health))).every((status) => status === 503), swarm);
  await until(() => (swarm.refused.get(503) ?? 0) > 20, swarm);
  redis.signal("SIGCONT");
  await until(async () => (await Promise.all(urls.map(health))).every((status) => status === 200));
  await swarm.done;
  expect([...swarm.refused.keys()]).toEqual([503]);
  for (const lines of logged()) {
    expect(lines).toEqual([
      expect.stringMatching(
        /^holdline: Redis at 127\.0\.0\.1:\d+: messages cannot be kept, posts are refused: /,
      ),
      expect.stringMatching(/^holdline: Redis at 127\.0\.0\.1:\d+: messages are kept again$/),
    ]);
  }
});

test("a Redis that is killed and comes back loses and doubles no message", async () => {
  const swarm = await startSwarm(urls, SIZE);
  await until(() => swarm.least() > 300, swarm);
  await redis.kill();
  await until(async () => (await Promise.all(urls.map(health))).every((status) => status === 503), swarm);
  await until(() => (swarm.refused.get(503) ?? 0) > 20, swarm);
  await redis.start();
  await until(async () => (await Promise.all(urls.map(health))).every((status) => status === 200));
  await swarm.done;
  expect([...swarm.refused.keys()]).toEqual([503]);
  for (const lines of logged()) expect(lines).toHaveLength(2);
});
