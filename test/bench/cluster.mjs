/**
 * What several processes with one Redis cost, beside one process: the time from a post to a poll elsewhere, how much can
 * be delivered, and what Redis pays for a post and for a person. Run after `npm run build`; about two minutes, or
 * WHAT=latency,throughput,redis for some of it.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { RedisStore } from "../../dist/index.js";
import { ask, login, post, quantile, sleep } from "../faults/people.mjs";

const PROGRAM = fileURLToPath(new URL("../../dist/server.js", import.meta.url));
const TICK = 1000 / Number(execFileSync("getconf", ["CLK_TCK"]));
const READERS = 300;
const POSTERS = 256;
const folder = mkdtempSync(join(tmpdir(), "holdline-cluster-"));
const children = [];

/** Processor time of a process so far, in milliseconds. */
function cpu(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK;
}

function start(program, args) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  return child;
}

async function startServer(...flags) {
  const child = start(process.execPath, [
    PROGRAM,
    "--port",
    "0",
    "--post-rate",
    "0",
    "--login-rate",
    "0",
    ...flags,
  ]);
  const [line] = await once(child.stdout.setEncoding("utf8"), "data");
  return { pid: child.pid, port: Number(/:(\d+)\n/.exec(line)[1]) };
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return port;
}

function listens(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => resolve(true));
    socket.on("error", () => resolve(false)).on("connect", () => socket.destroy());
  });
}

async function startRedis(...flags) {
  const port = await freePort();
  const args = [
    "--port",
    `${port}`,
    "--bind",
    "127.0.0.1",
    "--dir",
    mkdtempSync(join(folder, "redis-")),
    "--save",
    "",
    ...flags,
  ];
  const child = start(process.env.REDIS ?? "redis-server", args);
  child.stdout.resume();
  while (!(await listens(port))) await sleep(20);
  return { pid: child.pid, url: `redis://127.0.0.1:${port}` };
}

async function stopAll() {
  for (const child of children.splice(0).reverse()) {
    child.kill("SIGTERM");
    if (child.exitCode === null) await once(child, "exit");
  }
}

/** From before a post at one process to the answer of a poll that is held at another: a quantile each. */
async function latency(poster, reader) {
  const agent = new http.Agent({ keepAlive: true });
  const [ann, bob] = [await login(poster.port, "ann"), await login(poster.port, "bob")];
  let cursor = "0";
  const poll = async () => {
    const path = `/get_post/bob?since=${cursor}&wait=30&client=b`;
    const { body } = await ask(reader.port, path, { headers: { Cookie: bob }, agent });
    const batch = JSON.parse(body);
    ({ cursor } = batch);
    return batch.messages.filter(({ kind }) => kind === undefined).length;
  };
  const times = [];
  for (let n = 0; n < 330; n++) {
    const heard = (async () => {
      while ((await poll()) === 0);
      return performance.now();
    })();
    await sleep(5);
    const from = performance.now();
    await post(poster.port, "ann", ann, `${n}`, agent);
    // The first ones warm up.
    const took = (await heard) - from;
    if (n >= 30) times.push(took);
  }
  agent.destroy();
  return `p50 ${quantile(times, 0.5)} ms, p99 ${quantile(times, 0.99)} ms`;
}

/** Many polls, evenly over the processes, and some who post as fast as they can, for five seconds. */
async function throughput(servers, redis) {
  const agent = new http.Agent({ keepAlive: true });
  const at = (n) => servers[n % servers.length].port;
  let deliveries = 0;
  let posts = 0;
  let over = false;
  const follow = async (n) => {
    const Cookie = await login(at(0), `reader${n}`);
    for (let cursor = "now"; !over; ) {
      const path = `/get_post/reader${n}?since=${cursor}&wait=2&client=c`;
      const { body } = await ask(at(n), path, { headers: { Cookie }, agent });
      // Counted by their ends: to parse them all would measure ourselves.
      deliveries += body.split('"at":').length - 1;
      cursor = /"cursor":"([\d-]+)"/.exec(body)[1];
    }
  };
  const write = async (n) => {
    const Cookie = await login(at(0), `writer${n}`);
    for (; !over; posts++)
      await post(at(n), `writer${n}`, Cookie, "What is said in a room, about so long.", agent);
  };
  const readers = Array.from({ length: READERS }, (_, n) => follow(n));
  await sleep(1000);
  const pids = [...servers.map(({ pid }) => pid), ...(redis ? [redis.pid] : []), process.pid];
  const before = pids.map(cpu);
  const from = performance.now();
  const [delivered, posted] = [deliveries, posts];
  const writers = Array.from({ length: POSTERS }, (_, n) => write(n));
  await sleep(5000);
  const seconds = (performance.now() - from) / 1000;
  const shares = pids.map((pid, n) => `${Math.round((cpu(pid) - before[n]) / seconds / 10)}%`);
  const said = `${Math.round((deliveries - delivered) / seconds)} deliveries/s, ${Math.round((posts - posted) / seconds)} posts/s`;
  over = true;
  await Promise.all([...readers, ...writers]);
  agent.destroy();
  const of = (from, to) => shares.slice(from, to).join(" ");
  const ofRedis = redis ? `, Redis ${of(servers.length, -1)}` : "";
  return `${said}; share of a core: clients ${of(-1)}, processes ${of(0, servers.length)}${ofRedis}`;
}

/** Redis' own time for each post, with so many processes that follow, and for each person that one says is here. */
async function redisCosts(redis, followers) {
  const stores = [];
  for (let n = 0; n < followers; n++) {
    const store = new RedisStore({
      url: redis.url,
      keep: 1000,
      prefix: `costs${followers}`,
      warn: console.error,
    });
    await store.open(() => {});
    stores.push(store);
  }
  const [store] = stores;
  const draft = { user: "ann", text: "What is said in a room, about so long." };
  const before = cpu(redis.pid);
  const count = 20_000;
  for (let n = 0; n < count; n += 100)
    await Promise.all(Array.from({ length: 100 }, () => store.append(draft)));
  const perPost = ((cpu(redis.pid) - before) * 1000) / count;
  const people = Array.from({ length: 20_000 }, (_, n) => `somebody-${n}`);
  const nothing = () => {};
  const resident = {
    ...{ grace: 30_000, maxNames: 100_000, here: () => [] },
    ...{ met: nothing, owned: nothing, came: nothing, went: nothing, left: nothing },
  };
  store.neighbours.join(resident);
  for (const user of people) store.neighbours.arrived(user, undefined);
  await store.neighbours.told();
  const then = cpu(redis.pid);
  for (let round = 0; round < 5; round++) {
    for (const user of people) store.neighbours.arrived(user, undefined);
    await store.neighbours.told();
  }
  const perPerson = ((cpu(redis.pid) - then) * 1000) / (5 * people.length);
  for (const store of stores) await store.close();
  return `${perPost.toFixed(0)} µs a post, ${perPerson.toFixed(1)} µs to say again that somebody is here`;
}

async function measureLatency() {
  console.log("from a post to the answer of a poll:");
  const memory = await startServer("--data", "none");
  console.log(`  one process, in memory               ${await latency(memory, memory)}`);
  await stopAll();
  for (const fsync of ["no", "everysec", "always"]) {
    const redis = await startRedis("--appendonly", fsync === "no" ? "no" : "yes", "--appendfsync", fsync);
    const [one, two] = [await startServer("--redis", redis.url), await startServer("--redis", redis.url)];
    const disk = fsync === "no" ? "without a disk" : `appendfsync ${fsync}`;
    console.log(`  from one to another, ${disk.padEnd(20)} ${await latency(one, two)}`);
    await stopAll();
  }
}

async function measureThroughput() {
  console.log(`${READERS} polls and ${POSTERS} posters as fast as they can:`);
  const alone = await startServer("--data", "none");
  console.log(`  one process, in memory  ${await throughput([alone])}`);
  await stopAll();
  for (const count of [1, 3]) {
    const redis = await startRedis("--appendonly", "yes");
    const servers = await Promise.all(Array.from({ length: count }, () => startServer("--redis", redis.url)));
    console.log(`  ${count} with Redis            ${await throughput(servers, redis)}`);
    await stopAll();
  }
}

async function measureRedis() {
  console.log("Redis' own time:");
  for (const followers of [1, 3, 10]) {
    const redis = await startRedis("--appendonly", "yes");
    console.log(`  ${followers} processes follow: ${await redisCosts(redis, followers)}`);
    await stopAll();
  }
}

const what = (process.env.WHAT ?? "latency,throughput,redis").split(",");
try {
  if (what.includes("latency")) await measureLatency();
  if (what.includes("throughput")) await measureThroughput();
  if (what.includes("redis")) await measureRedis();
} finally {
  await stopAll();
  rmSync(folder, { recursive: true, force: true });
}
