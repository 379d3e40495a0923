/** For the scripts: a server in a process of its own, requests, and figures. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("../../dist/server.js", import.meta.url));
const FLAGS = ["--port", "0", "--data", "none", "--post-rate", "0", "--login-rate", "0"];

/** Starts the program without rates, on a free port, in memory unless other flags say so. */
export async function start(...flags) {
  const child = spawn(process.execPath, [PROGRAM, ...FLAGS, ...flags], { stdio: ["ignore", "pipe", "pipe"] });
  const log = [];
  child.stderr.setEncoding("utf8").on("data", (text) => log.push(text));
  process.once("exit", () => child.kill("SIGKILL"));
  child.once("exit", (status, signal) => {
    if (status !== 0) throw new Error(`the server ended: ${status ?? signal} ${log.join("")}`);
  });
  const [line] = await once(child.stdout.setEncoding("utf8"), "data");
  return { child, log, pid: child.pid, port: Number(/:(\d+)\n/.exec(line)[1]) };
}

/** Ends a server and returns what it logged. */
export async function stop({ child, log }) {
  child.kill("SIGTERM");
  await once(child, "exit");
  return log.join("").trim();
}

/** Sends one request. The name of the cookie contains the port of `Host`, so this `Host` has none. */
export function ask(port, path, { body, headers, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const all = { host: "127.0.0.1", port, path, headers: { Host: "x", ...headers }, ...options };
    const req = http.request(all, async (res) => {
      const chunks = await res.toArray().catch(reject);
      if (chunks)
        resolve({ status: res.statusCode, headers: res.headers, body: Buffer.concat(chunks).toString() });
    });
    req.on("error", reject).end(body);
  });
}

const form = (port, path, body, { headers, ...options } = {}) => {
  const type = { "Content-Type": "application/x-www-form-urlencoded" };
  return ask(port, path, { method: "POST", headers: { ...type, ...headers }, body, ...options });
};

/** Logs in and returns the cookie. */
export async function login(port, name) {
  const { status, headers } = await form(port, "/login", `name=${name}`);
  if (status !== 303) throw new Error(`log-in: ${status}`);
  return headers["set-cookie"][0].split(";")[0];
}

/** Posts a message. Throws unless it is kept. */
export async function post(port, name, Cookie, text, agent) {
  const { status, body } = await form(port, `/put_post/${name}`, `message=${text}`, {
    headers: { Cookie },
    agent,
  });
  if (status !== 200) throw new Error(`post: ${status} ${body}`);
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Returns a quantile of numbers, rounded to tenths. */
export function quantile(numbers, q) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
  return Math.round(value * 10) / 10;
}
