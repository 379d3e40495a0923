// A progress bar for a long job. Run `node examples/progress/server.mjs` and open the address that it prints.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Feed, longPollHandler } from "holdline/feed";

const STEPS = 50;
const STEP_MS = Number(process.env.STEP_MS ?? 100);

const feed = new Feed({ backlog: 100 });
const poll = longPollHandler(feed);
const page = await readFile(new URL("index.html", import.meta.url));
let running = false;

async function runJob() {
  if (running) return;
  running = true;
  for (let step = 0; step <= STEPS; step++) {
    feed.push({ progress: step / STEPS });
    await sleep(STEP_MS);
  }
  running = false;
}

const server = createServer((req, res) => {
  const route = `${req.method} ${req.url?.split("?")[0]}`;
  if (route === "GET /events") return poll(req, res);
  if (route === "GET /") return res.setHeader("Content-Type", "text/html").end(page);
  if (route !== "POST /start") return res.writeHead(404).end();
  runJob();
  res.writeHead(202).end();
});
server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}/`);
});
