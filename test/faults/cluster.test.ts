/** `make cluster` ends all its processes, also when the terminal is closed or a process cannot start. */
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { launch, printed, type Run } from "../wire/server.js";

const PROGRAM = fileURLToPath(new URL("../../deploy/cluster.mjs", import.meta.url));

function startCluster(...flags: string[]): Run {
  const cluster = launch(process.execPath, [PROGRAM, ...flags]);
  onTestFinished(() => void cluster.child.kill("SIGTERM"));
  return cluster;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("SIGHUP ends all processes of the cluster", async () => {
  const cluster = startCluster();
  await printed(cluster, /^open /m);
  const { stdout } = cluster.out;
  const pids = [...stdout.matchAll(/^process (\d+) /gm)].map(([, pid]) => Number(pid));
  expect(pids).toHaveLength(3);
  const redis = Number(/^Redis on redis:\/\/127\.0\.0\.1:(\d+)/m.exec(stdout)?.[1]);
  cluster.child.kill("SIGHUP");
  expect(await cluster.exited).toBe(0);
  expect(pids.filter(isAlive)).toEqual([]);
  await expect(fetch(`http://127.0.0.1:${redis}`)).rejects.toThrow();
});

test("a process that ends before it listens ends the cluster", async () => {
  const { exited, out } = startCluster("--no-such-flag");
  expect(await exited).toBe(1);
  expect(out.stderr).toMatch(/^cluster: a process did not start$/m);
});
