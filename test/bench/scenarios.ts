/** What is measured. Each scenario gets a fresh server with its clients waiting, and gives back figures. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { Clients, Histogram } from "./clients.js";
import type { Contender } from "./contenders.js";
import type { ServerUnderTest } from "./server.js";

export interface Stage {
  readonly server: ServerUnderTest;
  readonly clients: Clients;
  /** Offers the next message. */
  post(): void;
  /** How many were offered. */
  readonly offered: () => number;
  /** Memory that each waiter takes, in bytes. */
  readonly memoryEach: number;
}

/** Starts a server with so many clients waiting, plays a scenario, ends both. Throws when a client missed anything. */
export async function play<T>(
  contender: Contender,
  count: number,
  scene: (stage: Stage) => Promise<T>,
): Promise<T> {
  const server = await contender.start();
  const clients = new Clients(contender.dialect);
  try {
    const port = Number(new URL(server.url).port);
    const headers = await contender.logIn(server.url, count);
    const poster = headers.pop() ?? "";
    const posting = connect({ port, host: "127.0.0.1", noDelay: true });
    await once(posting, "connect");
    posting.resume();
    const before = server.memory;
    // Everybody is let in once, so that nobody's coming disturbs what is measured.
    let cursor = "";
    for (const header of headers) cursor = await contender.begin(server.url, header);
    await clients.connect(port, headers, cursor);
    await pause(1500);
    const memoryEach = (server.memory - before) / count;
    let offered = 0;
    const post = () => sendPost(posting, contender, poster, ++offered);
    const result = await scene({ server, clients, post, offered: () => offered, memoryEach });
    if (clients.faults.length > 0)
      throw new Error(`${contender.name}: ${clients.faults.slice(0, 3).join("; ")}`);
    if (clients.deliveries !== offered * count) {
      throw new Error(`${contender.name}: ${clients.deliveries} deliveries of ${offered * count}`);
    }
    posting.destroy();
    return result;
  } finally {
    clients.close();
    await server.stop();
  }
}

/** About 100 bytes of message, like what people say. */
function sendPost(socket: Socket, contender: Contender, header: string, number: number): void {
  const text = `${number} ${performance.now()} the quick brown fox jumps over it`;
  socket.write(contender.post(header, text), "latin1");
}

/** One message at a time: the next one when everybody has the last. Seconds of processor time per delivery. */
export async function oneAtATime({ server, clients, post, offered, memoryEach }: Stage, rounds: number) {
  const count = clients.clients.length;
  const round = async () => {
    const all = new Promise<void>((resolve) => {
      let got = 0;
      clients.onDelivery = () => {
        if (++got === count) resolve();
      };
    });
    post();
    await Promise.race([all, pause(20_000)]);
    if (clients.faults.length > 0) throw new Error(clients.faults[0]);
  };
  // The first rounds are the compiler's.
  for (let n = 0; n < Math.max(3, 5000 / count); n++) await round();
  await pause(200);
  const cpu = server.cpu;
  clients.latency = new Histogram();
  const before = offered();
  for (let n = 0; n < rounds; n++) await round();
  await pause(200);
  const deliveries = (offered() - before) * count;
  return { cpu: (server.cpu - cpu) / deliveries, memoryEach, p50: clients.latency.percentile(0.5) };
}

/** So many messages a second for so many seconds, whether they get through or not; then the rest is waited for. */
export async function offer({ server, clients, post, offered }: Stage, perSecond: number, seconds: number) {
  const count = clients.clients.length;
  const begin = performance.now();
  const cpu = server.cpu;
  await server.figures();
  const total = Math.round(perSecond * seconds);
  let during = 0;
  while (offered() < total) {
    const due = Math.floor(((performance.now() - begin) / 1000) * perSecond);
    while (offered() < Math.min(due, total)) post();
    await pause(1);
  }
  during = clients.deliveries;
  const sent = performance.now();
  const patience = sent + 30_000;
  while (clients.deliveries < total * count && performance.now() < patience) await pause(5);
  const end = performance.now();
  const { p99: late } = await server.figures();
  return {
    perSecond: clients.deliveries / ((end - begin) / 1000),
    during: during / ((sent - begin) / 1000),
    p50: clients.latency.percentile(0.5),
    p99: clients.latency.percentile(0.99),
    busy: (server.cpu - cpu) / ((end - begin) / 1000),
    replies: clients.replies,
    loopDelay: late,
  };
}

/** Nothing happens for a while. Share of a core. */
export async function idle({ server }: Stage, seconds: number) {
  const cpu = server.cpu;
  await pause(seconds * 1000);
  return { busy: (server.cpu - cpu) / seconds };
}
