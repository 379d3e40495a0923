/** Another client in a process of its own: sends requests one after another and reports how long each took. */
import { setTimeout as sleep } from "node:timers/promises";
import { Connection } from "./load.mjs";

/** Long enough that the requests are no load. */
const PAUSE_MS = 20;

process.once("message", async ({ port, requests, seconds }) => {
  const connection = await Connection.open(port);
  const times = Object.fromEntries(Object.keys(requests).map((name) => [name, []]));
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    for (const [name, request] of Object.entries(requests)) {
      const start = performance.now();
      await connection.exchange(request);
      times[name].push(performance.now() - start);
      await sleep(PAUSE_MS);
    }
  }
  connection.close();
  process.send(times);
  process.disconnect();
});
