/** What the long-running scripts of this folder share: a server of their own, people, and figures. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import http from "node:http";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("../../dist/server.js", import.meta.url));

/** Starts the program in memory, without rates, on a free port. */
export function start(...flags) {
  return run(PROGRAM, "--port", "0", "--data", "none", "--post-rate", "0", "--login-rate", "0", ...flags);
}

/** Starts the program's parts in a process that tells what is in it. */
export function startWrapped() {
  return run("--expose-gc", fileURLToPath(new URL("wrapped.mjs", import.meta.url)));
}

async function run(...args) {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const log = [];
  child.stderr.setEncoding("utf8").on("data", (text) => log.push(text));
  process.once("exit", () => child.kill("SIGKILL"));
  child.once("exit", (status, signal) => {
    if (status !== 0) throw new Error(`the server ended: ${status ?? signal} ${log.join("")}`);
  });
  const [line] = await once(child.stdout.setEncoding("utf8"), "data");
  return { child, log, pid: child.pid, port: Number(/:(\d+)\n/.exec(line)[1]), ...figures(child.pid) };
}

/** What a process holds: resident memory in MB, open descriptors. */
function figures(pid) {
  return {
    rss: () =>
      Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024),
    descriptors: () => readdirSync(`/proc/${pid}/fd`).length,
  };
}

/** Ends a server, which must end well. */
export async function stop({ child, log }) {
  child.kill("SIGTERM");
  const [status] = await once(child, "exit");
  if (status !== 0) throw new Error(`exit status ${status}`);
  return log.join("").trim() || "nothing";
}

/** The cookie's name contains the port of this header; here it has none, as in the requests by the byte. */
export const HOST = "x";

/** One request. */
export function ask(port, path, { body, headers, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const sent = { Host: HOST, ...headers };
    const req = http.request({ host: "127.0.0.1", port, path, headers: sent, ...options }, (res) => {
      const chunks = [];
      res.on("data", (chunk) => chunks.push(chunk)).on("error", reject);
      res.on("end", () =>
        resolve({ status: res.statusCode, headers: res.headers, body: Buffer.concat(chunks).toString() }),
      );
    });
    req.on("error", reject).end(body);
  });
}

const FORM = { "Content-Type": "application/x-www-form-urlencoded" };

/** Logs in, and gives the cookie. */
export async function login(port, name) {
  const { status, headers } = await ask(port, "/login", {
    method: "POST",
    headers: FORM,
    body: `name=${name}`,
  });
  if (status !== 303) throw new Error(`log-in: ${status}`);
  return headers["set-cookie"][0].split(";")[0];
}

/** Posts a message, which must be kept. */
export async function post(port, name, Cookie, text, agent) {
  const headers = { ...FORM, Cookie };
  const { status, body } = await ask(port, `/put_post/${name}`, {
    method: "POST",
    headers,
    agent,
    body: `message=${text}`,
  });
  if (status !== 200) throw new Error(`post: ${status} ${body}`);
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A quantile of numbers, rounded to tenths. */
export function quantile(numbers, q) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return (
    Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN) * 10) / 10
  );
}
