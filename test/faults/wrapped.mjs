/**
 * The program's parts in a process that also tells what is in it, for the scripts of this folder: run with
 * `node --expose-gc`. A request for `/inside` is answered with polls held, timers, descriptors and the heap after
 * a collection, in MB.
 */
import { readdirSync } from "node:fs";
import { createChat, serve } from "../../dist/index.js";

const log = (line) => console.error(line);
const chat = await createChat({ postRate: 0, loginRate: 0, maxWaiters: 12_000, log });

function inside() {
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, rss } = process.memoryUsage();
  const timers = process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
  const mega = (bytes) => Math.round((bytes / 2 ** 20) * 10) / 10;
  return {
    waiting: chat.waiting,
    timers,
    descriptors: readdirSync("/proc/self/fd").length,
    heap: mega(heapUsed),
    rss: mega(rss),
  };
}

const { server } = serve(
  (req, res) => {
    if (req.url === "/inside") res.end(JSON.stringify(inside()));
    else chat.handler(req, res);
  },
  { log, maxConnections: 15_000 },
);
server.listen(0, "127.0.0.1", 4096, () =>
  console.log(`listening on http://127.0.0.1:${server.address().port}`),
);
process.on("SIGTERM", () => process.exit());
