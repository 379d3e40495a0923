/** A Redis that comes back without the newest message, or without everything. */
import { statSync, truncateSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { createClient } from "redis";
import { afterEach, beforeEach, expect, test } from "vitest";
import { login, Person, texts } from "../wire/person.js";
import { type Redis, startRedis } from "../wire/redis.js";
import { type Server, startServer } from "../wire/server.js";
import { startProxy, type TcpProxy } from "./proxy.js";

let master: Redis;
/** The second one, which takes the place of the master. */
let other: Redis | undefined;
/** The address of the master, like that of a load balancer. */
let proxy: TcpProxy;
let servers: Server[];
beforeEach(async () => {
  master = await startRedis("--repl-diskless-sync-delay", "0");
  proxy = await startProxy(master.port);
  servers = [];
  for (let n = 0; n < 2; n++) await start();
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop("SIGKILL")));
  proxy.close();
  await Promise.all([master.stop(), other?.stop()]);
  other = undefined;
});

async function start(port = proxy.port): Promise<Server> {
  const server = await startServer("--redis", `redis://127.0.0.1:${port}`);
  servers.push(server);
  return server;
}

/** Asks a Redis until a reply is as expected. */
async function direct(redis: Redis, command: string[], expected = /OK/): Promise<string> {
  const client = await createClient({ url: redis.url }).connect();
  for (;;) {
    const reply = JSON.stringify(await client.sendCommand(command));
    if (expected.test(reply)) {
      client.destroy();
      return reply;
    }
    await delay(20);
  }
}

/** Separates a replica. Returns what puts it into the place of the master. */
async function promote(): Promise<() => Promise<void>> {
  const replica = await startRedis("--replicaof", "127.0.0.1", `${master.port}`);
  other = replica;
  await direct(replica, ["XREVRANGE", "holdline:messages", "+", "-", "COUNT", "1"], /"99"/);
  await direct(replica, ["REPLICAOF", "NO", "ONE"]);
  return async () => {
    await master.kill();
    proxy.switchTo(replica.port);
  };
}

/** Looks how long the file of Redis is. Returns what takes off what came later, as a power cut may. */
async function truncate(): Promise<() => Promise<void>> {
  const { dir } = JSON.parse(await direct(master, ["CONFIG", "GET", "dir"], /dir/));
  const file = `${dir}/appendonlydir/appendonly.aof.1.incr.aof`;
  const { size } = statSync(file);
  return async () => {
    await master.kill();
    truncateSync(file, size);
    await master.start();
  };
}

test.each([
  ["a failover", promote],
  ["a restart with a truncated file", truncate],
])(
  "after %s that loses a message, every process has the other messages and reports a gap",
  async (_, lose) => {
    const [one, two] = servers as [Server, Server];
    const ann = await Person.login(one.url, "ann");
    const kept = Array.from({ length: 100 }, (_, n) => `${n}`);
    for (const text of kept) await ann.post(text);
    const goOn = await lose();
    const lost = await ann.post("lost");
    // A poll from the lost message, which is held on the other process.
    const poll = ann.at(two).batch(`since=${lost}&wait=60`);
    while (!(await ann.ask("who")).body.includes("ann"));
    await goOn();
    while ((await ann.say("next")).status !== 200);
    expect(await poll).toMatchObject({ gap: true });
    await start();
    for (const server of servers) {
      const person = ann.at(server);
      let all = texts(await person.batch("since=0&wait=0"));
      while (!all.includes("next")) all = texts(await person.batch("since=0&wait=0"));
      expect(all).toEqual([...kept, "next"]);
    }
  },
);

test("cookies are valid on every process after Redis came back empty, and a new process reached it first", async () => {
  const [one] = servers as [Server];
  const ann = await Person.login(one.url, "ann");
  await master.kill();
  // The two processes do not reach it yet.
  proxy.switchTo(master.port);
  other = await startRedis();
  const third = await start(other.port);
  proxy.switchTo(other.port);
  const untilValid = async (person: Person) => {
    for (const server of servers) {
      const there = person.at(server);
      while ((await there.status()) !== 200);
      there.close();
    }
  };
  await untilValid(ann);
  let reply = await login(third.url, "bob");
  while (reply.status === 503) reply = await login(third.url, "bob");
  await untilValid(Person.of(third.url, "bob", reply));
});
