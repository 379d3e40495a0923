/** Somebody else, in a process of their own: sends requests in turn and tells how long each took. */
import { setTimeout as pause } from "node:timers/promises";
import { Connection } from "./connection.js";

export interface Errand {
  readonly port: number;
  readonly requests: Readonly<Record<string, string>>;
  readonly seconds: number;
}

/** Of each request, in milliseconds. */
export type Times = Readonly<Record<string, readonly number[]>>;

/** Between requests, in milliseconds: seldom enough not to be a load. */
const BETWEEN = 20;

async function run({ port, requests, seconds }: Errand): Promise<Times> {
  const connection = await Connection.open(port);
  const times: Record<string, number[]> = {};
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    for (const [name, request] of Object.entries(requests)) {
      const start = performance.now();
      await connection.exchange(request);
      const took = times[name] ?? [];
      took.push(performance.now() - start);
      times[name] = took;
      await pause(BETWEEN);
    }
  }
  connection.close();
  return times;
}

process.once("message", async (errand: Errand) => {
  process.send?.(await run(errand));
  process.disconnect();
});
