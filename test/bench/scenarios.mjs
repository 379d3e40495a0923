/**
 * What is measured, and in how many rounds. `measure(rooms)` returns rows for each room: `{ label, ...figures }`. The first figure
 * is the one that is compared with bare's. The rooms of a scenario are open at the same time only if they take turns.
 */
import { fork } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { percentile } from "./report.mjs";

const { CLIENTS, RATES = "10,100,800,2000" } = process.env;
const few = { clients: Number(CLIENTS ?? 1000) };
const many = { clients: Number(CLIENTS ?? 10_000), servers: ["bare", "holdline"] };
const RATE_SECONDS = 2.5;
const IDLE_SECONDS = 30;
const POLL_SECONDS = 25;

export const SCENARIOS = {
  one: { ...few, rounds: 7, takeTurns: true, hasPeers: true, measure: one },
  browser: { ...few, rounds: 7, takeTurns: true, measure: one, servers: many.servers },
  rate: { ...few, rounds: 3, hasPeers: true, servers: many.servers, measure: rates },
  crowd: { ...many, rounds: 2, measure: crowd },
  // Bare's polls must end, too.
  idle: { ...many, rounds: 2, flags: ["--timeouts"], measure: idle },
};

/** Posts message after message, each when all clients have the last one: `count` of them, or until the time is over. */
async function messages(room, count, seconds) {
  await room.openPoster();
  const end = performance.now() + seconds * 1000;
  for (let n = 0; n < count && (n < 2 || performance.now() < end); n++) {
    room.post();
    if (!(await room.arrival(30_000))) throw new Error(room.faults[0] ?? "a message did not arrive in 30 s");
  }
}

/** How many messages one room gets before the next room has its turn. */
const TURN = 5;
const WARM_UP_MESSAGES = 40;
const WARM_UP_SECONDS = 3;

/** One message at a time. Rooms take turns, so that a noisy machine disturbs all of them alike. */
async function one(rooms, seconds = 3) {
  for (const room of rooms) await messages(room, WARM_UP_MESSAGES, WARM_UP_SECONDS);
  const before = rooms.map(({ server, posted }) => ({ cpu: server.cpu, posted }));
  const end = performance.now() + rooms.length * seconds * 1000;
  while (performance.now() < end) for (const room of rooms) await messages(room, TURN, seconds);
  await sleep(200);
  return rooms.map(({ server, posted, clients }, n) => {
    const deliveries = (posted - before[n].posted) * clients.length;
    return [{ "CPU µs per delivery": ((server.cpu - before[n].cpu) * 1e6) / deliveries }];
  });
}

/** Posts at each rate, whether the server keeps up or not. Ends after a rate that was too high. */
async function rates([room]) {
  await messages(room, WARM_UP_MESSAGES, WARM_UP_SECONDS);
  const rows = [];
  for (const rate of RATES.split(",").map(Number)) {
    rows.push(await offer(room, rate));
    if (rows.at(-1).missing > 0) break;
  }
  return [rows];
}

async function offer(room, rate) {
  const { server, latency, deliveries } = room;
  const total = Math.max(10, Math.round(rate * RATE_SECONDS));
  latency.reset();
  const [cpu, start, utilization] = [server.cpu, performance.now(), performance.eventLoopUtilization()];
  for (let posted = 0; posted < total; ) {
    const due = Math.min(total, Math.floor(((performance.now() - start) / 1000) * rate) + 1);
    while (posted < due) room.post(start + (posted++ * 1000) / rate);
    await sleep(1);
  }
  await room.arrival(10_000);
  const elapsed = (performance.now() - start) / 1000;
  return {
    label: `${rate} messages/s`,
    "deliveries/s": (room.deliveries - deliveries) / elapsed,
    missing: room.missing,
    "p50 ms": latency.percentile(50) / 1000,
    "p99 ms": latency.percentile(99) / 1000,
    "% of a core": ((server.cpu - cpu) / elapsed) * 100,
    // Above 90, the load may be what was measured.
    "load busy %": performance.eventLoopUtilization(utilization).utilization * 100,
  };
}

/** The memory of waiters. Then message after message to all of them, while a process of its own posts and loads the page. */
async function crowd([room]) {
  const { contender, server, clients } = room;
  const figures = { "resident KiB per waiter": (server.memory - room.emptyMemory) / 1024 / clients.length };
  const { ticket } = clients[0];
  const page = contender.page && { page: contender.page(ticket) };
  const prober = fork(new URL("load.mjs", import.meta.url), ["probe"]);
  prober.send({ port: server.port, requests: { post: contender.post(ticket, "another text"), ...page } });
  let times;
  prober.once("message", (message) => {
    times = message;
  });
  while (prober.exitCode === null) await messages(room, 1, 0);
  for (const [name, all] of Object.entries(times))
    for (const share of [99, 50]) figures[`${name} p${share} ms`] = percentile(all, share / 100);
  return [[figures]];
}

/** Nothing but polls, which all begin now. Each ends once in this time. */
async function idle([room]) {
  await messages(room, 1, 0);
  const { cpu } = room.server;
  await sleep(IDLE_SECONDS * 1000);
  return [[{ "% of a core": ((room.server.cpu - cpu) / POLL_SECONDS) * 100 }]];
}
