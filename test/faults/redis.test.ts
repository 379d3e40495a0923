/** Several processes that share one room in a real Redis: killed, restarted, and left alone by it. */
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ask } from "../wire/person.js";
import { type Redis, startRedis } from "../wire/redis.js";
import { type Server, startServer } from "../wire/server.js";
import { type Outcome, startSwarm } from "./swarm.js";

// A machine that is busy with other tests takes its time over a million and a half deliveries.
vi.setConfig({ testTimeout: 300_000 });

const SIZE = { clients: 300, posters: 8, messages: 5_000 };
const FLAGS = ["--backlog", "20000"];

let redis: Redis;
let servers: Server[];
/** Where the processes are; those who are to find them look here each time. */
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

async function until(isSo: () => boolean | Promise<boolean>, swarm?: Outcome): Promise<void> {
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
    if (over) throw new Error("the swarm was done before");
    await delay(5);
  }
}

const health = async (url: string) => (await ask(`${url}/healthz`)).status;
const said = () => servers.map((server) => server.stderr().trim().split("\n").filter(Boolean));

test("one process killed and one restarted: one order for everybody, nothing lost, nothing twice", async () => {
  const swarm = await startSwarm(urls, SIZE);
  await until(() => swarm.least() > 1_000, swarm);
  await servers[1]?.stop("SIGKILL");
  await until(() => swarm.least() > 2_500, swarm);
  expect(await servers[2]?.stop()).toBe(0);
  servers[2] = await startServer("--redis", redis.url, ...FLAGS);
  urls[2] = servers[2].url;
  await swarm.done;
  expect(said()).toEqual([[], [], []]);
});

test("Redis hangs for ten seconds: posts are refused, polls stay held, and then it goes on as if nothing had been", async () => {
  const swarm = await startSwarm(urls, SIZE);
  await until(() => swarm.least() > 1_000, swarm);
  redis.signal("SIGSTOP");
  const over = delay(10_000);
  await until(async () => (await Promise.all(urls.map(health))).every((status) => status === 503), swarm);
  await over;
  expect(swarm.refused.get(503)).toBeGreaterThan(0);
  redis.signal("SIGCONT");
  await until(async () => (await Promise.all(urls.map(health))).every((status) => status === 200));
  await swarm.done;
  expect([...swarm.refused.keys()]).toEqual([503]);
  for (const lines of said()) {
    expect(lines).toEqual([
      expect.stringMatching(
        /^holdline: Redis at 127\.0\.0\.1:\d+: messages cannot be kept, posts are refused: /,
      ),
      expect.stringMatching(/^holdline: Redis at 127\.0\.0\.1:\d+: messages are kept again$/),
    ]);
  }
});

test("Redis is killed and comes back: the same", async () => {
  const swarm = await startSwarm(urls, SIZE);
  await until(() => swarm.least() > 1_000, swarm);
  await redis.kill();
  await until(async () => (await Promise.all(urls.map(health))).every((status) => status === 503), swarm);
  await until(() => (swarm.refused.get(503) ?? 0) > 20, swarm);
  await redis.start();
  await until(async () => (await Promise.all(urls.map(health))).every((status) => status === 200));
  await swarm.done;
  expect([...swarm.refused.keys()]).toEqual([503]);
  for (const lines of said()) expect(lines).toHaveLength(2);
});
