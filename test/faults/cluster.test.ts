/** `make cluster` ends all its processes, also when the terminal is closed or a process cannot start. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";

const PROGRAM = fileURLToPath(new URL("../../deploy/cluster.mjs", import.meta.url));

let cluster: ChildProcess;
let output: string;
function startCluster(env: NodeJS.ProcessEnv = {}): void {
  cluster = spawn(process.execPath, [PROGRAM], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  output = "";
  for (const stream of [cluster.stdout, cluster.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
}
afterEach(() => cluster.kill("SIGTERM"));

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("SIGHUP ends all processes of the cluster", async () => {
  startCluster();
  while (!/^open /m.test(output)) await once(cluster.stdout ?? cluster, "data");
  const pids = [...output.matchAll(/^process (\d+) /gm)].map(([, pid]) => Number(pid));
  expect(pids).toHaveLength(3);
  const redis = Number(/^Redis on redis:\/\/127\.0\.0\.1:(\d+)/m.exec(output)?.[1]);
  cluster.kill("SIGHUP");
  expect(await once(cluster, "exit")).toEqual([0, null]);
  expect(pids.filter(isAlive)).toEqual([]);
  await expect(fetch(`http://127.0.0.1:${redis}`)).rejects.toThrow();
});

test("a process that ends before it listens ends the cluster", async () => {
  const folder = await mkdtemp(join(tmpdir(), "holdline-"));
  // A program that listens on the port of Redis, but is not Redis.
  const program = join(folder, "redis");
  await writeFile(
    program,
    `#!${process.execPath}
    const port = process.argv[process.argv.indexOf("--port") + 1];
    require("node:net").createServer((socket) => socket.on("error", () => {}).end("no\\r\\n")).listen(port, "127.0.0.1");`,
    { mode: 0o755 },
  );
  startCluster({ REDIS: program });
  expect(await once(cluster, "exit")).toEqual([1, null]);
  expect(output).toMatch(/^cluster: a process did not start$/m);
  await rm(folder, { recursive: true });
});
