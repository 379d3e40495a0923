/**
 * Tests of the conformance kit: holdline passes, three wrong servers fail in their fault, and the program reports the
 * results as text, as JSON and by its exit status.
 */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { KEEP_ALIVE, startNginx } from "../faults/nginx.js";
import { ask } from "../wire/person.js";
import { type Redis, startRedis } from "../wire/redis.js";
import { launch, printed, startServer, startServerWith } from "../wire/server.js";
import type { Result } from "./runner.js";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const node = (path: string, flags: string) => ["--start", `"${process.execPath}" "${here(path)}" ${flags}`];
const ours = (flags: string) =>
  node("../../dist/server.js", `--port 0 --post-rate 0 --login-rate 0 ${flags}`);
/** A host with the chat at /chat, or a wrong server. */
const inside = (host: string) => node("hosts.mjs", host);
vi.setConfig({ testTimeout: 400_000, maxConcurrency: 4 });

async function run(program: string, ...args: string[]) {
  const { exited, out } = launch(process.execPath, [program, ...args]);
  return { status: await exited, ...out };
}
const kit = (...args: string[]) => run(here("out/main.js"), ...args);

let redis: Redis;
beforeAll(async () => {
  const built = await run(here("../../node_modules/typescript/bin/tsc"), "-p", here("tsconfig.json"));
  expect(built).toMatchObject({ status: 0, stdout: "" });
  // Redis outlives the killed processes, so it needs no disk.
  redis = await startRedis("--appendonly", "no");
});
afterAll(() => redis.stop());

/** Runs the kit. Returns its exit status and the results. */
async function verdict(...args: string[]): Promise<{ status: number | string; cases: Result[] }> {
  // The limit is a backstop only. A busy machine needs much more time than the kit does alone.
  const { status, stdout, stderr } = await kit("--json", "--time", "300", ...args);
  expect(stderr).toBe("");
  return { status, cases: JSON.parse(stdout).cases };
}

const START = "needs --start";

/** Runs the kit on a right server. All cases must pass, but for so many that are not tried for a reason. */
async function passes(expected: Record<string, number>, ...args: string[]): Promise<void> {
  const { status, cases } = await verdict(...args);
  const faults = cases.filter((one) => one.status === "failed");
  expect([
    status,
    ...faults.map(({ name, sent, expected, came }) => ({ name, sent, expected, came })),
  ]).toEqual([0]);
  const notTried: Record<string, number> = {};
  for (const { reason } of cases) if (reason) notTried[reason] = (notTried[reason] ?? 0) + 1;
  expect(notTried).toEqual(expected);
}

/** A wall clock that moves once a second, so many ids have one time and a counter of two digits. */
const COARSE_CLOCK = "--import=data:text/javascript,const{now}=Date;Date.now=()=>Math.floor(now()/1e3)*1e3";

describe.concurrent("holdline passes", () => {
  // First, because it takes longest.
  test("all cases with several processes on one Redis behind nginx, except those of one process", async (context) => {
    const args = [here("../../deploy/cluster.mjs"), "--post-rate", "0", "--login-rate", "0", "--metrics"];
    const cluster = launch(process.execPath, args);
    context.onTestFinished(() => void cluster.child.kill());
    const url = await printed(cluster, /^open (\S+) /m);
    // A process knows only its own polls.
    await passes({ "not expected of several processes": 3, [START]: 4 }, url, "--proxy", "--several");
    const processes = [...cluster.out.stdout.matchAll(/^process \d+ on (\S+)/gm)];
    expect(processes).toHaveLength(3);
    for (const [, url] of processes) {
      const { body } = await ask(`${url}/metrics`);
      const counts = body.matchAll(/^holdline_(?:posts|polls)_total\{.*\} (\d+)$/gm);
      const requests = [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
      expect(requests, "each process answered many requests").toBeGreaterThan(300);
    }
    cluster.child.kill("SIGTERM");
    expect(await cluster.exited).toBe(0);
  });

  test("all cases with files, started by the kit", async () => {
    await passes({}, ...ours("--data {data} --metrics"));
  });

  test("the cases with Redis that the cluster cannot try, started by the kit", async () => {
    // A prefix separates rooms, as a folder does with files.
    await passes({}, ...ours(`--redis ${redis.url}?prefix={data}`), "--only", "restarts,polls");
  });

  test.each(["bare", "express", "fastify", "koa"])("all cases in memory, in %s", async (host) => {
    await passes({ "needs {data} in --start": 2 }, ...inside(host));
  });

  test("all cases in memory, under a path behind nginx, except those that need --start or no proxy", async (context) => {
    const server = await startServerWith({ NODE_OPTIONS: COARSE_CLOCK }, "--trust-proxy");
    // The hooks of this test: the global ones can belong to another test that runs at the same time.
    context.onTestFinished(() => void server.stop());
    const location = KEEP_ALIVE.replace("//chat;", "//chat/;").replace("Proto https", "Proto $scheme");
    const nginx = await startNginx(server.port, `location /a/chat/ { ${location} }`);
    context.onTestFinished(nginx.stop);
    await passes({ "this server has no /metrics": 1, [START]: 4 }, `${nginx.url}/a/chat`, "--proxy");
    expect(await server.stop()).toBe(0);
    expect(server.stderr()).toBe("");
  });

  test("with rates, because the kit waits as Retry-After says", async () => {
    const server = await startServer("--login-rate", "2", "--post-rate", "2");
    await passes({}, server.url, "--only", "errors");
    expect(await server.stop()).toBe(0);
  });
});

/** For each fault, the topics that are tried, how many cases it breaks, and one of them. */
const BROKEN = [
  ["no-client", "polls,sessions", 2, "a newer poll of the same client supersedes the held one, and no other"],
  // Dead polls, second pages and repeated polls.
  ["queue", "delivery,polls,cursors,plain,connections", 8, "two pages of one user both get every message"],
  // Messages between two polls, and cursors.
  [
    "waiter-map",
    "delivery,much,polls,cursors,plain,connections,sessions,another history",
    17,
    "a cursor of another history gets a gap",
  ],
] as const;

describe.concurrent("the wrong server", () => {
  test.each(BROKEN)("%s fails in its own cases only", async (fault, topics, count, expected) => {
    const { status, cases } = await verdict(...inside(fault), "--only", topics);
    expect(status).toBe(1);
    // Any number of the 400 polls can succeed by chance.
    const failed = cases.filter((one) => one.status === "failed" && !one.name.startsWith("400 polls"));
    const names = failed.map(({ name }) => name);
    expect(names).toContain(expected);
    expect(names).toHaveLength(count);
  });
});

describe.concurrent("the program", () => {
  test.each([
    ["no server", []],
    ["two servers", ["http://127.0.0.1:1", "http://127.0.0.1:2"]],
    ["a malformed URL", ["localhost"]],
    ["a URL that is not HTTP", ["ftp://127.0.0.1/"]],
    ["an unknown flag", ["http://127.0.0.1:1", "--colour"]],
    ["words that match no case", ["http://127.0.0.1:1", "--only", "unicorn"]],
    ["a time that is not a number", ["http://127.0.0.1:1", "--time", "soon"]],
  ])("ends with 2 for %s, and shows the flags", async (_, args) => {
    const { status, stdout, stderr } = await kit(...args);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/^conformance: .+\n\nChecks a server/);
  });

  test.each([
    ["is missing", ["http://127.0.0.1:1"], /: GET \/healthz: expected a reply, .*: ECONNREFUSED\n$/],
    ["does not start", node("nowhere.js", ""), /: the command of --start: .*nowhere\.js/],
    ["is no program", ["--start", "/nowhere/server"], /: the command of --start: .*ENOENT/],
  ])("ends with 1 and one line when the server %s", async (_, args, line) => {
    const { status, stderr } = await kit(...args);
    expect([status, stderr.split("\n").length]).toEqual([1, 2]);
    expect(stderr).toMatch(line);
  });

  test("reports what was sent, expected and received, and the section of the contract", async () => {
    const { status, stdout } = await kit(...inside("no-client"), "--only", "supersedes wait=0");
    expect(status).toBe(1);
    const lines = stdout.trim().split("\n").slice(2);
    expect(lines).toEqual([
      "polls",
      "  FAIL a newer poll with wait=0 supersedes the held one",
      expect.stringMatching(/^ {9}sent {6}GET .*&wait=8&client=a, held, then the same with wait=0$/),
      '         expected  "superseded": true',
      expect.stringMatching(/^ {9}came {6}\{"cursor":.*"messages":\[\]\}$/),
      "         contract  The long poll",
      "",
      expect.stringMatching(/^0 passed, 1 failed, 0 not tried, in .* s$/),
    ]);
  });
});
