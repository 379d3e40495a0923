/** A failover: the master dies, and a replica that lacks the newest message takes its place. */
import { setTimeout as delay } from "node:timers/promises";
import { createClient } from "redis";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ask, type Batch, Person, texts } from "../wire/person.js";
import { type Redis, startRedis } from "../wire/redis.js";
import { type Server, startServer } from "../wire/server.js";
import { startProxy, type TcpProxy } from "./proxy.js";

let master: Redis;
let replica: Redis;
/** The address of the master, like that of a load balancer. */
let proxy: TcpProxy;
let servers: Server[];
beforeEach(async () => {
  master = await startRedis("--repl-diskless-sync-delay", "0");
  replica = await startRedis("--replicaof", "127.0.0.1", `${master.port}`);
  proxy = await startProxy(master.port);
  servers = [];
  for (let n = 0; n < 2; n++) servers.push(await start());
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop("SIGKILL")));
  proxy.close();
  await Promise.all([master.stop(), replica.stop()]);
});

const start = () => startServer("--redis", `redis://127.0.0.1:${proxy.port}`);

const health = async ({ url }: Server) => (await ask(`${url}/healthz`)).status;

test("after a failover that loses a message, every process has the messages of the replica", async () => {
  const [one, two] = servers as [Server, Server];
  const direct = createClient({ url: replica.url });
  await direct.connect();
  const ann = await Person.login(one.url, "ann");
  const there = ann.at(two);
  const kept: string[] = [];
  for (let n = 0; n < 100; n++) {
    kept.push(`${n}`);
    await ann.post(`${n}`);
  }
  const newest = async () => {
    const entries = await direct.xRevRange("holdline:messages", "+", "-", { COUNT: 1 });
    return entries?.[0]?.message?.text;
  };
  while ((await newest()) !== "99") await delay(20);
  await direct.sendCommand(["REPLICAOF", "NO", "ONE"]);
  const lost = await ann.post("lost");
  // A poll from the lost message, which is held on the other process.
  const poll = there.batch(`since=${lost}&wait=60`);
  while (!(await ann.ask("who")).body.includes("ann"));
  await master.kill();
  proxy.switchTo(replica.port);
  while ((await ann.say("next")).status !== 200);
  expect(await poll).toMatchObject({ gap: true });
  kept.push("next");
  const third = await start();
  servers.push(third);
  for (const { url } of servers) {
    while ((await health({ url } as Server)) !== 200) await delay(20);
    const person = ann.at({ url });
    let all: Batch = await person.batch("since=0&wait=0");
    while (!texts(all).includes("next")) all = await person.batch("since=0&wait=0");
    expect(texts(all)).toEqual(kept);
  }
  direct.destroy();
});
