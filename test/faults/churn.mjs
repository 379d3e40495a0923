/**
 * 10,000 polls are held; then, for a minute, 500 a second connect, poll and are aborted. What is inside before, during
 * and after: polls, timers, descriptors, heap. About eighty seconds; SECONDS=10 for a shorter one.
 *
 *     node test/faults/churn.mjs
 *
 * This process and the server each need some 11,000 file descriptors: `ulimit -n 20000`.
 */
import http from "node:http";
import { ask, HOST, login, post, sleep, startWrapped, stop } from "./people.mjs";

const HELD = 10_000;
const PER_SECOND = 500;
const SECONDS = Number(process.env.SECONDS ?? 60);

const server = await startWrapped();
const { port } = server;
const inside = async () => JSON.parse((await ask(port, "/inside")).body);
/** What is inside once it is what is waited for, or after ten seconds as it is. */
async function settled(isSo) {
  for (let n = 0; n < 100; n++) {
    const now = await inside();
    if (isSo(now)) return now;
    await sleep(100);
  }
  return inside();
}
const tell = (when, figures) => console.log(when.padEnd(28), JSON.stringify(figures));

const Cookie = await login(port, "ann");
const agent = new http.Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
let answered = 0;
/** Whether who is answered polls again. */
let again = false;
function poll(client, options) {
  return http
    .get({
      host: "127.0.0.1",
      port,
      path: `/get_post/ann?since=now&wait=60&client=${client}`,
      headers: { Cookie, Host: HOST },
      ...options,
    })
    .on("response", (res) =>
      res.resume().on("end", () => {
        answered++;
        if (again && options.agent) poll(client, options);
      }),
    )
    .on("error", () => {});
}

/** Everybody polls, one message answers them all, and their connections are closed. */
async function round() {
  answered = 0;
  for (let n = 0; n < HELD; n++) {
    poll(`c${n}`, { agent });
    if (n % 500 === 499) await sleep(50);
  }
  const held = await settled(({ waiting }) => waiting === HELD);
  return held;
}

// Once before it counts: what is made only once (code, pools, caches) is made.
await round();
await post(port, "ann", Cookie, "to all");
while (answered < HELD) await sleep(50);
agent.destroy();
const began = await settled(({ descriptors }) => descriptors < 40);
tell("to begin with", began);

tell("10,000 held", await round());
again = true;
let aborted = 0;
const end = performance.now() + SECONDS * 1000;
const started = performance.now();
const deaths = new Set();
while (performance.now() < end) {
  const due = ((performance.now() - started) / 1000) * PER_SECOND;
  for (; aborted < due; aborted++) {
    // Some are aborted before they arrive, most while they are held.
    const req = poll(`x${aborted % 1500}`, { agent: false });
    const timer = setTimeout(() => {
      req.destroy();
      deaths.delete(timer);
    }, Math.random() * 400);
    deaths.add(timer);
  }
  await sleep(10);
}
while (deaths.size > 0) await sleep(50);
const rate = Math.round(aborted / ((performance.now() - started) / 1000));
tell(`${aborted} came and went, ${rate}/s`, await settled(({ waiting }) => waiting <= HELD));
again = false;
answered = 0;
await post(port, "ann", Cookie, "to all");
await settled(({ waiting }) => waiting === 0);
agent.destroy();
const ended = await settled(
  ({ descriptors, timers }) => descriptors <= began.descriptors && timers <= began.timers,
);
tell("in the end", ended);
console.log(`${answered} of the ${HELD} were answered; the server said: ${await stop(server)}`);
const same = ended.waiting === 0 && ended.timers <= began.timers && ended.descriptors <= began.descriptors;
if (!same || ended.heap > began.heap + 5) {
  console.log("NOT where it began");
  process.exit(1);
}
console.log("where it began");
process.exit();
