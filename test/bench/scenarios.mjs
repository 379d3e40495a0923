/**
 * What is measured. `measure(rooms)` returns rows for each room: `{ label, ...figures }`. The first figure is the one that is
 * compared with bare's. Rooms are open at the same time only in `one`, where they take turns.
 */
import { fork } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { percentile } from "./report.mjs";

const { CLIENTS, RATES } = process.env;
const clients = (usual) => Number(CLIENTS ?? usual);
const RATES_PER_SECOND = RATES?.split(",").map(Number) ?? [10, 50, 100, 200, 400, 800, 1200, 2000];
const RATE_SECONDS = 2.5;
const ARRIVAL_TIMEOUT_MS = 10_000;
const IDLE_SECONDS = 50;
const YIELD_SECONDS = 6;
const KIB = 1024;

export const SCENARIOS = {
  one: { clients: clients(1000), measure: one },
  rate: { clients: clients(1000), measure: async ([room]) => [await rates(room)] },
  yield: { clients: clients(10_000), isForOurs: true, measure: async ([room]) => [[await others(room)]] },
  memory: { clients: clients(10_000), measure: async ([room]) => [[await memory(room)]] },
  idle: {
    clients: clients(10_000),
    isForOurs: true,
    // Bare's polls must end, too.
    flags: ["--timeouts"],
    measure: async ([room]) => [[await idle(room)]],
  },
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
const WARM_UP_DELIVERIES = 40_000;

/** One message at a time. Rooms take turns, so that a noisy machine disturbs all of them alike. */
async function one(rooms, { count = 200, seconds = 8 } = {}) {
  for (const room of rooms)
    await messages(room, Math.max(4, Math.ceil(WARM_UP_DELIVERIES / room.clients.length)), seconds / 2);
  await sleep(200);
  const before = rooms.map(({ server, posted }) => ({ cpu: server.cpu, posted }));
  const end = performance.now() + rooms.length * seconds * 1000;
  for (let n = 0; n < count && (n === 0 || performance.now() < end); n += TURN)
    for (const room of rooms) await messages(room, TURN, seconds);
  await sleep(200);
  return rooms.map(({ server, posted, clients }, n) => {
    const deliveries = (posted - before[n].posted) * clients.length;
    return [{ "CPU µs per delivery": ((server.cpu - before[n].cpu) * 1e6) / deliveries }];
  });
}

/** Posts at each rate, whether the server keeps up or not. Ends after a rate that was too high. */
async function rates(room) {
  await one([room], { count: 0, seconds: 8 });
  const rows = [];
  let best = 0;
  for (const rate of room.contender.rates ?? RATES_PER_SECOND) {
    const row = await offer(room, rate);
    rows.push(row);
    if (row.missing > 0 || row["deliveries/s"] < best) break;
    best = row["deliveries/s"] * 0.8;
  }
  return rows;
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
  await room.arrival(ARRIVAL_TIMEOUT_MS);
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

/** Message after message to all clients. In the meantime, a process of its own posts and loads the page. */
async function others(room) {
  const { contender, server, clients } = room;
  const { ticket } = clients[0];
  const requests = {
    post: contender.post(ticket, "another text"),
    ...(contender.page && { page: contender.page(ticket) }),
  };
  const prober = fork(new URL("prober.mjs", import.meta.url));
  let times;
  let hasEnded = false;
  prober.once("message", (message) => {
    times = message;
  });
  prober.once("exit", () => {
    hasEnded = true;
  });
  prober.send({ port: server.port, requests, seconds: YIELD_SECONDS });
  while (!hasEnded) await messages(room, 1, 0);
  if (!times) throw new Error("the prober failed");
  const figures = Object.entries(times).map(([name, all]) => [
    [`${name} p99 ms`, percentile(all, 0.99)],
    [`${name} p50 ms`, percentile(all, 0.5)],
  ]);
  return Object.fromEntries(figures.flat());
}

async function memory({ server, emptyMemory, clients }) {
  const resident = (server.memory - emptyMemory) / KIB / clients.length;
  const heap = (await server.heap()) / KIB / clients.length;
  return { "resident KiB per waiter": resident, "heap in use, KiB per waiter": heap };
}

/** Nothing but polls that time out after 25 s and come again. */
async function idle(room) {
  // All polls begin now.
  await messages(room, 1, 0);
  const { cpu } = room.server;
  await sleep(IDLE_SECONDS * 1000);
  return { "% of a core": ((room.server.cpu - cpu) / IDLE_SECONDS) * 100 };
}
