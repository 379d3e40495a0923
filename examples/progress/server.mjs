// A progress bar for a long job. Run `node examples/progress/server.mjs` and open the address that it prints.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Feed, longPollHandler } from "holdline/feed";

const { PORT = "3000", STEP_MS = "100" } = process.env;
const feed = new Feed({ backlog: 100 });
const poll = longPollHandler(feed);
const page = await readFile(new URL("index.html", import.meta.url));
let running = false;

async function runJob() {
  if (running) return;
  running = true;
  for (let percent = 0; percent <= 100; percent += 2) {
    feed.push({ progress: percent / 100 });
    await sleep(Number(STEP_MS));
  }
  running = false;
}

const server = createServer((req, res) => {
  if (req.url?.startsWith("/events")) return poll(req, res);
  if (req.method === "POST") runJob();
  res.setHeader("Content-Type", "text/html").end(page);
});
server.listen(Number(PORT), "127.0.0.1");
server.on("listening", () => console.log(`http://127.0.0.1:${server.address().port}/`));
