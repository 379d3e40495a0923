/**
 * The peak of the server's resident memory under mixes of hostile requests: each mix opens up to 12,000 connections to a
 * server of its own and holds them for some seconds. Bounded in count and time; about three minutes in all.
 *
 *     node test/faults/mix.mjs [name of a mix]...
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { ask, login, post, sleep, start, startWrapped, stop } from "./people.mjs";

const CONNECTIONS = 12_000;
/** Connections that read nothing of large replies: what the kernel buffers for them is the machine's memory too. */
const UNREAD = 2_000;
/** A mix is held until the peak has not moved for so many seconds, and for so many in all. */
const STILL_S = 6;
const MOST_S = 30;
const LIMIT_MB = 300;

/** Headers of seven bytes each: what costs the server most memory for a byte. */
const tinyHeaders = (bytes) => "aa:bb\r\n".repeat(Math.floor(bytes / 7));
const largeHeader = (bytes) => `X: ${"h".repeat(bytes - 5)}\r\n`;
const chunks = "1\r\nx\r\n".repeat(255);

/** What one connection of each kind sends: a request line and headers without the last line end, and what follows. */
const KINDS = {
  page: ({ head }) => `${head("GET /chatroom/ann/")}\r\n`,
  "16 pages": ({ head }) => `${head("GET /chatroom/ann/")}\r\n`.repeat(16),
  batch: ({ head, n }) => `${head(`GET /get_post/ann?since=1-${n}&wait=0`)}\r\n`,
  "batch, then polls": ({ head, n, poll }) =>
    `${head(`GET /get_post/ann?since=1-${n}&wait=0`)}\r\n${`${poll}\r\n`.repeat(16)}`,
  body: ({ form }) => `${form("POST /put_post/ann")}Content-Length: 65536\r\n\r\n${"b".repeat(65_535)}`,
  "body in chunks": ({ form }) => `${form("POST /put_post/ann")}Transfer-Encoding: chunked\r\n\r\n${chunks}`,
  "poll with an unread body": ({ poll }) => `${poll}Content-Length: 99999\r\n\r\n${"b".repeat(99_998)}`,
  "poll by POST": ({ form, n }) =>
    `${form(`POST /get_post/ann?since=now&wait=60&client=${n}`)}Content-Length: 65536\r\n\r\na=${"b".repeat(65_534)}`,
  "poll, then polls": ({ poll }) => `${poll}\r\n${`${poll}${largeHeader(7_000)}\r\n`.repeat(16)}`,
  "poll, then bodies": ({ poll, form }) =>
    `${poll}\r\n${`${form("POST /leave/ann")}Content-Length: 15000\r\n\r\n${"b".repeat(15_000)}`.repeat(16)}`,
  "poll with a large head": ({ poll }) => `${poll}${largeHeader(7_900)}\r\n`,
  "poll with many headers": ({ poll }) => `${poll}${tinyHeaders(8_000)}\r\n`,
  "poll with 60 headers": ({ poll }) => `${poll}${`${"n".repeat(60)}: ${"v".repeat(60)}\r\n`.repeat(60)}\r\n`,
  "poll with 23 headers": ({ poll, n }) =>
    `${poll}${Array.from({ length: 23 }, (_, i) => `name-of-${i}-${n}: ${"v".repeat(80)}\r\n`).join("")}\r\n`,
  "large heads, then silence": ({ head, n }) => `${head(`GET /healthz?${n}`)}${largeHeader(7_900)}\r\n`,
  "slow head": ({ head }) => `${head("GET /healthz")}${largeHeader(7_900)}`,
  "slow head of many headers": ({ head }) => `${head("GET /healthz")}${tinyHeaders(8_000)}`,
  poll: ({ poll }) => `${poll}\r\n`,
  silence: () => "",
};

/** Kinds whose replies are large and unread. */
const isUnread = (kind) => /page|batch/.test(kind);

const MIXES = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, [kind]]));
/** Nearly all connections with what is bounded for each of them, and a few with what is bounded for all together. */
const few = ["page", "batch", "body", "poll by POST", "poll, then bodies", "poll with a large head"];
for (const most of ["slow head", "poll with 23 headers"]) {
  MIXES[`${most}, and others`] = [...few, ...Array.from({ length: 60 }, () => most)];
}
MIXES.all = Object.keys(KINDS).filter((kind) => kind !== "silence");

/** A client of its own process: opens the connections of a mix, and opens anew those that are closed, until it is ended. */
async function attack(port, cookie, kinds) {
  const head = (line) => `${line} HTTP/1.1\r\nHost: x\r\nCookie: ${cookie}\r\n`;
  const form = (line) => `${head(line)}Content-Type: application/x-www-form-urlencoded\r\n`;
  const about = (n) => ({ head, form, n, poll: head(`GET /get_post/ann?since=now&wait=60&client=${n}`) });
  let closed = 0;
  let open = 0;
  const dial = (kind, n) =>
    new Promise((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        open++;
        socket.write(KINDS[kind](about(n)), resolve);
      });
      if (isUnread(kind)) socket.pause();
      else socket.resume();
      socket
        .on("error", () => {})
        .on("close", () => {
          resolve();
          open--;
          closed++;
          setTimeout(dial, 3_000, kind, n + CONNECTIONS);
        });
    });
  const count = kinds.every(isUnread) ? UNREAD : CONNECTIONS;
  for (let n = 0; n < count; n += 50) {
    const dials = Array.from({ length: 50 }, (_, i) => {
      const kind = kinds[(n + i) % kinds.length];
      return isUnread(kind) && n > UNREAD * kinds.length ? undefined : dial(kind, n + i);
    });
    await Promise.race([Promise.all(dials), sleep(100)]);
  }
  setTimeout(() => process.exit(1), 120_000);
  process.once("message", () => process.send(`${open} open, ${closed} were closed`, () => process.exit()));
  process.send("ready");
}

const peakOf = (pid) =>
  Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024);

/** Fills the backlog with what makes the largest pages and batches. */
async function fill(port, cookie) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  const text = encodeURIComponent("http://a ".repeat(222).slice(0, 1_990));
  const wide = encodeURIComponent("字".repeat(1_990));
  for (let n = 0; n < 1_000; n += 8) {
    await Promise.all(
      Array.from({ length: 8 }, (_, i) => post(port, "ann", cookie, n < 900 || i % 2 ? text : wide, agent)),
    );
  }
  agent.destroy();
}

async function measure(name, kinds) {
  const server = process.env.WRAPPED ? await startWrapped() : await start();
  const { port, pid } = server;
  const cookie = await login(port, "ann");
  const large = kinds.some(isUnread);
  if (large) await fill(port, cookie);
  const before = peakOf(pid);
  const attackers = fork(fileURLToPath(import.meta.url), [
    "--attack",
    `${port}`,
    cookie,
    JSON.stringify(kinds),
  ]);
  let done = false;
  let worst = 0;
  let failed = 0;
  const honest = (async () => {
    const agent = new http.Agent({ keepAlive: true });
    while (!done) {
      const at = performance.now();
      await ask(port, "/healthz", { agent }).then(
        ({ status }) => (failed += status === 200 ? 0 : 1),
        () => failed++,
      );
      worst = Math.max(worst, performance.now() - at);
      await sleep(50);
    }
    agent.destroy();
  })();
  await once(attackers, "message");
  // Until the peak stays where it is.
  for (let last = 0, still = 0, n = 0; still < STILL_S && n < MOST_S; n++) {
    await sleep(1_000);
    still = peakOf(pid) > last ? 0 : still + 1;
    last = peakOf(pid);
  }
  done = true;
  await honest;
  const peak = peakOf(pid);
  const rss = server.rss();
  if (process.env.WRAPPED) console.log((await ask(port, "/inside")).body);
  attackers.send("end");
  const [[what]] = await Promise.all([once(attackers, "message"), once(attackers, "exit")]);
  const others = `others waited ${Math.round(worst)} ms at most, ${failed} failed`;
  console.log(
    `${peak < LIMIT_MB ? "ok  " : "HIGH"} ${name}: peak ${peak} MB (before ${before}, at the end ${rss}); ${what}; ${others}`,
  );
  const said = await stop(server);
  if (said !== "nothing") console.log(`     the server logged: ${said}`);
}

if (process.argv[2] === "--attack") {
  const [port, cookie, kinds] = process.argv.slice(3);
  await attack(Number(port), cookie, JSON.parse(kinds));
} else {
  const chosen = process.argv.slice(2);
  for (const [name, kinds] of Object.entries(MIXES)) {
    if (chosen.length === 0 || chosen.includes(name)) await measure(name, kinds);
  }
  process.exit();
}
