/** A real Redis of our own, on a free port, in a folder of its own. REDIS=/path/to/redis-server if it is not Debian's. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { TestProject } from "vitest/node";
import { freePort } from "../conformance/port.js";

declare module "vitest" {
  interface ProvidedContext {
    redis: string;
  }
}

export type Redis = Awaited<ReturnType<typeof startRedisOf>>;

/** Starts a Redis that has each write on the disk before it answers, unless the flags say otherwise. */
export function startRedis(...flags: string[]): Promise<Redis> {
  return startRedisOf(process.env.REDIS ?? "redis-server", ...flags);
}

/** Starts another program that takes the same flags. */
export async function startRedisOf(program: string, ...flags: string[]) {
  const folder = mkdtempSync(join(tmpdir(), "holdline-redis-"));
  const port = await freePort();
  const own = ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder, "--save", ""];
  let child: ChildProcess;
  const end = () => {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  };
  /** Ends it as a power cut would. */
  const kill = async () => {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  };
  /** Starts it again on the same port, with what it had written. */
  const start = async () => {
    child = spawn(program, [...own, "--appendonly", "yes", "--appendfsync", "always", ...flags], {
      stdio: "ignore",
    });
    while (!(await answers(port))) {
      if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}`);
      await delay(20);
    }
  };
  await start();
  // A test that fails before it stops its Redis must not leave it behind.
  process.once("exit", end);
  return {
    ...{ port, url: `redis://127.0.0.1:${port}`, kill, start },
    pid: () => child.pid ?? 0,
    /** Stops and continues the process, as a machine that hangs. */
    signal: (signal: "SIGSTOP" | "SIGCONT") => void child.kill(signal),
    async stop() {
      child.kill("SIGCONT");
      await kill();
      process.off("exit", end);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Whether Redis is there and has read what it has on the disk. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => resolve(false));
    socket.on("data", (reply) => {
      socket.destroy();
      // A password that is asked for is an answer, too.
      resolve(/^(\+PONG|-NOAUTH)/.test(reply.toString()));
    });
    socket.write("PING\r\n");
  });
}

/** Starts one Redis for all tests of "wire on Redis", without a disk. Vitest runs this around them. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const redis = await startRedis("--appendonly", "no");
  project.provide("redis", redis.url);
  return redis.stop;
}
