/** What is measured. Each scenario gets a server with its crowd waiting, and gives back figures. */
import { fork } from "node:child_process";
import { performance } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import type { Errand, Times } from "./prober.js";
import type { Stage } from "./stage.js";

const KIB = 1024;

/** So many messages to one crowd, then to the next. */
const TURN = 5;

/**
 * One message at a time: the next one when everybody has the last. Several crowds take turns of a few messages, so that
 * whatever the machine does meanwhile, it does to all. Processor time per delivery of each, in µs.
 * @param seconds for each, at the most
 */
export async function oneAtATime(
  stages: readonly Stage[],
  rounds: number,
  seconds: number,
): Promise<number[]> {
  // The first rounds are the compiler's.
  for (const stage of stages) {
    await messages(stage, Math.max(4, Math.ceil(40_000 / stage.clients.all.length)), seconds / 2);
  }
  await pause(200);
  const before = stages.map(({ server, offered }) => ({ cpu: server.cpu, offered }));
  const end = performance.now() + stages.length * seconds * 1000;
  for (let n = 0; n < rounds && (n === 0 || performance.now() < end); n += TURN) {
    for (const stage of stages) await messages(stage, Math.min(TURN, rounds), seconds);
  }
  await pause(200);
  return stages.map(({ server, offered, clients }, n) => {
    const { cpu = 0, offered: first = 0 } = before[n] ?? {};
    return ((server.cpu - cpu) * 1e6) / ((offered - first) * clients.all.length);
  });
}

/** Posts message after message, each when everybody has the last: so many, or until the time is over. */
async function messages(stage: Stage, count: number, seconds: number): Promise<void> {
  const end = performance.now() + seconds * 1000;
  for (let n = 0; n < count && (n < 2 || performance.now() < end); n++) {
    stage.post();
    if (!(await stage.clients.arrival(stage.offered, 30_000)))
      throw new Error(stage.clients.faults[0] ?? "a message did not arrive in 30 s");
  }
}

/** What became of so many messages a second. */
export interface Offered {
  readonly rate: number;
  /** A second, from the first post to the last delivery. */
  readonly deliveries: number;
  /** Deliveries that had not come ten seconds after the last post. */
  readonly outstanding: number;
  readonly lost: number;
  readonly doubled: number;
  readonly disordered: number;
  /** Milliseconds from when a message was due. */
  readonly p50: number;
  readonly p99: number;
  /** The share of a core that the server took. */
  readonly core: number;
  /** How late the server's event loop was, in milliseconds, p99; NaN where it has none to ask. */
  readonly delay: number;
  /** The share of its time that the load was busy. */
  readonly load: number;
}

/** So many messages a second, whether they get through or not; then the rest is waited for. */
export async function offer(stage: Stage, rate: number, seconds: number): Promise<Offered> {
  const { server, clients } = stage;
  const total = Math.max(10, Math.round(rate * seconds));
  clients.latency.clear();
  const { deliveries, lost, doubled, disordered } = clients;
  const before = { deliveries, lost, doubled, disordered };
  await server.figures("watch");
  const [cpu, begin, idle] = [server.cpu, performance.now(), performance.eventLoopUtilization()];
  for (let posted = 0; posted < total; ) {
    const due = Math.min(total, Math.floor(((performance.now() - begin) / 1000) * rate) + 1);
    while (posted < due) stage.post(begin + (posted++ * 1000) / rate);
    await pause(1);
  }
  await clients.arrival(stage.offered, 10_000);
  const elapsed = (performance.now() - begin) / 1000;
  const core = (server.cpu - cpu) / elapsed;
  const load = performance.eventLoopUtilization(idle).utilization;
  const figures = await server.figures("stop watching");
  return {
    rate,
    deliveries: (clients.deliveries - before.deliveries) / elapsed,
    outstanding: clients.outstanding(stage.offered),
    lost: clients.lost - before.lost,
    doubled: clients.doubled - before.doubled,
    disordered: clients.disordered - before.disordered,
    p50: clients.latency.percentile(0.5),
    p99: clients.latency.percentile(0.99),
    core,
    delay: figures?.delay ?? Number.NaN,
    load,
  };
}

/** Message after message to everybody; meanwhile somebody else, in a process of their own, posts and loads the page. */
export async function others(stage: Stage, seconds: number): Promise<Times> {
  const { contender, server, ticket } = stage;
  const requests: Record<string, string> = { post: contender.post(ticket, "aside") };
  if (contender.page) requests.page = contender.page(ticket);
  const prober = fork(new URL("prober.js", import.meta.url));
  let times: Times | undefined;
  let hasEnded = false;
  prober.once("message", (message: Times) => {
    times = message;
  });
  prober.once("exit", () => {
    hasEnded = true;
  });
  prober.send({ port: server.port, requests, seconds } satisfies Errand);
  while (!hasEnded) await messages(stage, 1, 0);
  if (!times) throw new Error("the prober failed");
  return times;
}

/** Memory for each waiter, in KiB. */
export function memoryEach({ server, emptyMemory, clients }: Stage): number {
  return (server.memory - emptyMemory) / KIB / clients.all.length;
}

/**
 * So many polls of everybody that time out, as fast as they go. What is in use of a Node server's heap for each waiter
 * when its garbage is collected, in KiB: before, and at every quarter.
 */
export async function hour(stage: Stage, polls: number): Promise<number[]> {
  const { all } = stage.clients;
  const heaps: number[] = [];
  for (const client of all) client.wait = 0.01;
  for (let quarter = 0; quarter <= 4; quarter++) {
    const enough = stage.clients.replies + (quarter && (polls * all.length) / 4);
    while (stage.clients.replies < enough) await pause(20);
    await messages(stage, 1, 0);
    heaps.push(await heapEach(stage));
  }
  for (const client of all) client.wait = 25;
  return heaps;
}

async function heapEach({ server, clients }: Stage): Promise<number> {
  const figures = await server.figures("collect garbage");
  return (figures?.heap ?? Number.NaN) / KIB / clients.all.length;
}

/** Nothing happens for a while, but polls that time out and come back. Share of a core. */
export async function idle(stage: Stage, seconds: number): Promise<number> {
  const { server } = stage;
  // A connection that never asked anything would not be let rest so long.
  await messages(stage, 1, 0);
  const cpu = server.cpu;
  await pause(seconds * 1000);
  return (server.cpu - cpu) / seconds;
}
