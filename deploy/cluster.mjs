/**
 * `make cluster`: runs Redis, three processes and nginx in front of them, on free ports, until Ctrl-C. Its flags go to each
 * process. For several machines, use deploy/nginx.conf, and start each process with `holdline --redis URL --trust-proxy`.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const PROCESSES = 3;
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "holdline-cluster-"));
const children = [];
let stopping = false;

/** Starts a program. When it ends, all others are ended, unless `ended` does something else. */
function start(name, program, args, { stdio = ["ignore", "ignore", "inherit"], ended = end } = {}) {
  // In a group of its own, because Ctrl-C must not reach Redis before the processes have ended.
  const child = spawn(program, args, { stdio, detached: true });
  children.unshift(child);
  child.on("error", (error) => end(`cannot start ${name}: ${error.message}`));
  child.on("exit", (status, signal) => ended(`${name} ended with ${status ?? signal}`));
  return child;
}

/** Ends all programs, the last one first, and then this one. Its promise never resolves. */
async function end(why) {
  if (stopping) return new Promise(() => {});
  stopping = true;
  if (why) console.error(`cluster: ${why}`);
  for (let child = children.shift(); child; child = children.shift()) {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGTERM");
    await once(child, "exit");
  }
  rmSync(folder, { recursive: true, force: true });
  process.exit(why ? 1 : 0);
}
// A terminal that is closed sends SIGHUP.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => end());

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return port;
}

function listens(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => resolve(true));
    socket.on("error", () => resolve(false)).on("connect", () => socket.destroy());
  });
}

async function startProcess(redis) {
  const flags = ["--port", "0", "--redis", redis, "--trust-proxy", ...process.argv.slice(2)];
  const args = [here("../dist/server.js"), ...flags];
  const ended = (why) => stopping || console.log(`${why}; the others continue`);
  const child = start("a process", process.execPath, args, { stdio: ["ignore", "pipe", "inherit"], ended });
  const [line] = await Promise.race([once(child.stdout.setEncoding("utf8"), "data"), once(child, "exit")]);
  const [, url, port] = /(http:\S+:(\d+))/.exec(line) ?? [];
  if (!port) return end("a process did not start");
  console.log(`process ${child.pid} on ${url}`);
  return port;
}

const redisPort = await freePort();
const redis = `redis://127.0.0.1:${redisPort}`;
const disk = ["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--dir", folder];
start("Redis", process.env.REDIS ?? "redis-server", [
  "--port",
  `${redisPort}`,
  "--bind",
  "127.0.0.1",
  ...disk,
]);
console.log(`Redis on ${redis}`);
while (!(await listens(redisPort))) await delay(20);

const ports = [];
for (let n = 0; n < PROCESSES; n++) ports.push(await startProcess(redis));

const port = await freePort();
const site = readFileSync(here("nginx.conf"), "utf8")
  .replace(/server 127\.0\.0\.1:500(\d);/g, (_, n) => `server 127.0.0.1:${ports[n - 1]};`)
  .replace("127.0.0.1:8080", `127.0.0.1:${port}`);
const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
  (kind) => `${kind}_temp_path ${folder}/${kind};`,
);
const config = `user ${userInfo().username}; daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log stderr crit;
events { worker_connections 8192; }
http { access_log off; ${paths.join(" ")}
${site}}`;
writeFileSync(join(folder, "nginx.conf"), config);
const nginx = process.env.NGINX ?? "/usr/sbin/nginx";
start("nginx", nginx, ["-e", "stderr", "-c", join(folder, "nginx.conf")]);
while (!(await listens(port))) await delay(20);
console.log(`open http://127.0.0.1:${port} (Ctrl-C ends all)`);
