/**
 * 2,000 slow-loris connections and 500 readers that never read, while 100 people talk: how long their messages take,
 * without the attack, while it comes, and with it, in one run of about forty seconds.
 *
 *     node test/faults/loris.mjs
 *
 * The attackers are a process of their own. A loris sends a byte of its head a second, and comes back when it is
 * closed; a reader asks for the whole backlog (1 MiB of it) and takes nothing.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { ask, login, post, quantile, sleep, start, stop } from "./people.mjs";

const LORISES = 2_000;
const READERS = 500;
const PEOPLE = 100;
/** Messages a second, and for how many seconds each time. */
const PACE = 10;
const SECONDS = 10;

async function attack(port) {
  const cookie = await login(port, "mallory");
  let closed = 0;
  let stuck = 0;
  const loris = () => {
    const socket = connect(port, "127.0.0.1", () => socket.write("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "));
    const drip = setInterval(() => socket.write("z"), 1_000);
    socket
      .on("error", () => {})
      .on("close", () => {
        closed++;
        clearInterval(drip);
        setTimeout(loris, 100);
      });
  };
  for (let n = 0; n < LORISES; n++) {
    loris();
    if (n % 100 === 99) await sleep(10);
  }
  for (let n = 0; n < READERS; n++) {
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    socket.pause();
    // Each from a cursor of its own, so that no two are answered with the same string.
    socket.write(
      `GET /get_post/mallory?since=1-${n}&wait=0 HTTP/1.1\r\nHost: x\r\nCookie: ${cookie}\r\n\r\n`,
    );
    socket.on("close", () => stuck--);
    stuck++;
    if (n % 10 === 9) await sleep(10);
  }
  process.send("ready");
  process.on("message", () => {
    process.send(`${closed} lorises were closed and came back, ${stuck} readers are still stuck`);
    setTimeout(() => process.exit(), 100);
  });
}

/** One of the people: polls, and notes how old each message is when it comes. */
async function listen(port, name, ages) {
  const headers = { Cookie: await login(port, name) };
  const agent = new http.Agent({ keepAlive: true });
  let cursor = "now";
  for (;;) {
    const path = `/get_post/${name}?since=${cursor}&wait=20&client=c`;
    const reply = await ask(port, path, { headers, agent });
    const now = performance.timeOrigin + performance.now();
    const batch = JSON.parse(reply.body);
    cursor = batch.cursor;
    for (const { text } of batch.messages) if (text.startsWith("at ")) ages.push(now - Number(text.slice(3)));
  }
}

async function talk(port, cookie, ages) {
  ages.length = 0;
  const agent = new http.Agent({ keepAlive: true });
  for (let n = 0; n < PACE * SECONDS; n++) {
    await Promise.all([
      post(port, "talker", cookie, `at ${performance.timeOrigin + performance.now()}`, agent),
      sleep(1000 / PACE),
    ]);
  }
  await sleep(1_000);
  agent.destroy();
  const all = PACE * SECONDS * PEOPLE;
  return `${ages.length} of ${all} arrived; p50 ${quantile(ages, 0.5)} ms, p99 ${quantile(ages, 0.99)} ms, last ${quantile(ages, 1)} ms`;
}

async function main() {
  const server = await start();
  const { port } = server;
  const cookie = await login(port, "talker");
  for (let n = 0; n < 1_000; n++) await post(port, "talker", cookie, "x".repeat(2_000));
  const ages = [];
  for (let n = 0; n < PEOPLE; n++) {
    // Their last polls end with the server.
    listen(port, `person${n}`, ages).catch(() => {});
  }
  await sleep(2_000);
  console.log(`without: ${await talk(port, cookie, ages)}; ${server.rss()} MB`);
  const attackers = fork(fileURLToPath(import.meta.url), [`${port}`]);
  const ready = once(attackers, "message");
  console.log(`coming:  ${await talk(port, cookie, ages)}; ${server.rss()} MB`);
  await ready;
  console.log(
    `with:    ${await talk(port, cookie, ages)}; ${server.rss()} MB, ${server.descriptors()} descriptors`,
  );
  attackers.send("how was it?");
  console.log(`${(await once(attackers, "message"))[0]}`);
  await once(attackers, "exit");
  await sleep(3_000);
  console.log(
    `after:   ${server.descriptors()} descriptors, ${server.rss()} MB; the server said: ${await stop(server)}`,
  );
  process.exit();
}

if (process.argv[2] === undefined) await main();
else await attack(Number(process.argv[2]));
