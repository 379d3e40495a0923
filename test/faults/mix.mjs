/**
 * Measures the peak of the server's resident memory under hostile requests. Each mix opens up to 12,000 connections to a
 * server of its own and holds them until the peak does not grow. About 15 minutes in all. The attackers are a process of
 * their own, and open a closed connection again after three seconds.
 *
 *     node test/faults/mix.mjs [name of a mix]...
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { ask, login, post, sleep, start, stop } from "./people.mjs";

const CONNECTIONS = 12_000;
/** Connections that do not read large replies. The buffers of the kernel for each of them use memory, too. */
const UNREAD = 1_000;
/** A mix ends when the peak has not grown for `STILL_S` seconds, longer than the time-out of a head, or after `MOST_S` seconds. */
const STILL_S = 20;
const MOST_S = 60;
const LIMIT_MB = 300;

const largeField = (bytes) => `X: ${"h".repeat(bytes - 5)}\r\n`;
/** Fields of seven bytes cost the server the most memory per byte. */
const tinyFields = (bytes) => "aa:bb\r\n".repeat(Math.floor(bytes / 7));
const fields = (count, n) =>
  Array.from({ length: count }, (_, i) => `name-${i}-${n}: ${"v".repeat(80)}\r\n`).join("");

/** What each kind of connection sends. `get`, `form` and `poll` are heads without the last line end. */
const KINDS = {
  silence: () => "",
  poll: ({ poll }) => `${poll}\r\n`,
  "poll, a head of 8 KB": ({ poll }) => `${poll}${largeField(7_800)}\r\n`,
  "poll, 60 fields": ({ poll, n }) => `${poll}${fields(60, n)}\r\n`,
  "poll, a body that nobody reads": ({ poll }) => `${poll}Content-Length: 99999\r\n\r\n${"b".repeat(99_998)}`,
  "poll by POST, a body of 64 KB": ({ form, n }) =>
    `${form(`/get_post/ann?since=now&wait=60&client=${n}`, 65_536)}a=${"b".repeat(65_534)}`,
  "poll, then 16 polls": ({ poll }) => `${poll}\r\n${`${poll}${largeField(7_000)}\r\n`.repeat(16)}`,
  "poll, then 16 bodies": ({ poll, form }) =>
    `${poll}\r\n${`${form("/leave/ann?client=x", 15_000)}${"b".repeat(15_000)}`.repeat(16)}`,
  "body, not ended": ({ form }) => form("/put_post/ann", 65_536) + "b".repeat(65_535),
  "body, not ended, in chunks of a byte": ({ get }) =>
    `${get("POST", "/put_post/ann")}${FORM}Transfer-Encoding: chunked\r\n\r\n${"1\r\nx\r\n".repeat(255)}`,
  "body, not ended, a head of 8 KB": ({ get }) =>
    `${get("POST", "/put_post/ann")}${FORM}${largeField(7_700)}Content-Length: 9\r\n\r\nb`,
  "head of 8 KB, then silence": ({ get, n }) => `${get("GET", `/healthz?${n}`)}${largeField(7_800)}\r\n`,
  "head of 8 KB, not ended": ({ get }) => get("GET", "/healthz") + largeField(7_800),
  "head of many fields, not ended": ({ get }) => get("GET", "/healthz") + tinyFields(7_800),
  "page, not read": ({ get }) => `${get("GET", "/chatroom/ann/")}\r\n`,
  "16 pages, not read": ({ get }) => `${get("GET", "/chatroom/ann/")}\r\n`.repeat(16),
  "16 batches, not read": ({ get, n }) =>
    Array.from({ length: 16 }, (_, i) => `${get("GET", `/get_post/ann?since=${n}-${i}&wait=0`)}\r\n`).join(
      "",
    ),
};
const FORM = "Content-Type: application/x-www-form-urlencoded\r\n";
const isUnread = (kind) => kind.endsWith("not read");

const MIXES = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, [kind]]));
/** Most connections use what is limited for each connection, and the others what is limited for all together. */
const OTHERS = Object.keys(KINDS).filter((kind) => /not read|16 bodies|64 KB|not ended$/.test(kind));
for (const most of ["poll, 60 fields", "head of 8 KB, not ended"]) {
  MIXES[`${most}; and others`] = [...OTHERS, ...Array.from({ length: 80 }, () => most)];
}
MIXES["all together"] = Object.keys(KINDS);

/** Opens the connections of a mix, and opens closed ones again, until the parent process ends it. */
async function attack(port, cookie, kinds) {
  const get = (method, path) => `${method} ${path} HTTP/1.1\r\nHost: x\r\nCookie: ${cookie}\r\n`;
  const form = (path, length) => `${get("POST", path)}${FORM}Content-Length: ${length}\r\n\r\n`;
  const about = (n) => ({ get, form, n, poll: get("GET", `/get_post/ann?since=now&wait=60&client=${n}`) });
  let open = 0;
  let closed = 0;
  const dial = (kind, n) =>
    new Promise((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        open++;
        socket.once("close", () => open--);
        socket.write(KINDS[kind](about(n)), resolve);
      });
      if (isUnread(kind)) socket.pause();
      else socket.resume();
      socket.on("error", resolve).on("close", () => {
        resolve();
        closed++;
        setTimeout(dial, 3_000, kind, n + CONNECTIONS);
      });
    });
  let unread = 0;
  for (let n = 0; n < CONNECTIONS && !(unread >= UNREAD && kinds.every(isUnread)); n += 50) {
    const dials = [];
    for (let i = n; i < n + 50; i++) {
      const kind = kinds[i % kinds.length];
      if (!isUnread(kind) || unread++ < UNREAD) dials.push(dial(kind, i));
    }
    await Promise.race([Promise.all(dials), sleep(100)]);
  }
  setTimeout(() => process.exit(1), 3 * MOST_S * 1_000);
  process.once("message", () => process.send(`${open} open, ${closed} were closed`, () => process.exit()));
  process.send("ready");
}

const peakOf = (pid) =>
  Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024);

/** Fills the backlog with the texts that make the largest pages and batches. */
async function fill(port, cookie) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  const texts = ["http://a ".repeat(222).slice(0, 1_990), "字".repeat(1_990)].map(encodeURIComponent);
  for (let n = 0; n < 1_000; n += 8) {
    await Promise.all(Array.from({ length: 8 }, (_, i) => post(port, "ann", cookie, texts[i % 2], agent)));
  }
  agent.destroy();
}

/** Sends requests until the returned function is called, which returns the longest wait and the number of failures. */
function serveOthers(port) {
  let [longest, failed, isOver] = [0, 0, false];
  const over = (async () => {
    while (!isOver) {
      const start = performance.now();
      const reply = await ask(port, "/healthz", { timeout: 10_000 }).catch(() => undefined);
      if (reply?.status !== 200) failed++;
      longest = Math.max(longest, Math.round(performance.now() - start));
      await sleep(50);
    }
  })();
  return async () => {
    isOver = true;
    await over;
    return `other requests waited ${longest} ms at most, ${failed} failed`;
  };
}

async function measure(name, kinds) {
  const server = await start();
  const { port, pid } = server;
  const cookie = await login(port, "ann");
  if (kinds.some(isUnread)) await fill(port, cookie);
  const before = peakOf(pid);
  const attackers = fork(fileURLToPath(import.meta.url), ["--attack", port, cookie, JSON.stringify(kinds)]);
  const others = serveOthers(port);
  await once(attackers, "message");
  for (let last = 0, still = 0, n = 0; still < STILL_S && n < MOST_S; n++) {
    await sleep(1_000);
    still = peakOf(pid) > last ? 0 : still + 1;
    last = peakOf(pid);
  }
  const peak = peakOf(pid);
  const served = await others();
  attackers.send("end");
  const [[connections]] = await Promise.all([once(attackers, "message"), once(attackers, "exit")]);
  const verdict = peak < LIMIT_MB ? "ok  " : "HIGH";
  console.log(`${verdict} ${name}: peak ${peak} MB (before ${before}); ${connections}; ${served}`);
  const log = await stop(server);
  if (log) console.log(`     ${log.replaceAll("\n", "\n     ")}`);
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
