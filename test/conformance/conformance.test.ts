/**
 * Tests of the conformance kit: holdline passes, three wrong servers fail in their fault, and the program reports the
 * results as text, as JSON and by its exit status.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { KEEP_ALIVE, startNginx } from "../faults/nginx.js";
import { ask } from "../wire/person.js";
import { type Redis, startRedis } from "../wire/redis.js";
import { startServer, startServerWith } from "../wire/server.js";
import type { Result } from "./runner.js";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const TSC = here("../../node_modules/typescript/bin/tsc");
const node = (path: string, flags: string) => ["--start", `"${process.execPath}" "${here(path)}" ${flags}`];
const ours = (flags: string) =>
  node("../../dist/server.js", `--port 0 --post-rate 0 --login-rate 0 ${flags}`);
const wrong = (fault: string) => node("wrong.mjs", fault);
/** A host with the chat at /chat. */
const inside = (host: string) => node("hosts.mjs", host);
// A backstop only. A busy machine needs much more than the kit does alone.
const TIME = ["--time", "300"];
vi.setConfig({ testTimeout: 400_000, maxConcurrency: 4 });

function run(
  program: string,
  ...args: string[]
): Promise<{ status: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [program, ...args], { maxBuffer: 1e8 }, (_, stdout, stderr) =>
      resolve({ status: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}
const kit = (...args: string[]) => run(here("out/main.js"), ...args);

let redis: Redis;
beforeAll(async () => {
  expect(await run(TSC, "-p", here("tsconfig.json"))).toMatchObject({ status: 0, stdout: "" });
  // Redis outlives the killed processes, so it needs no disk.
  redis = await startRedis("--appendonly", "no");
});
afterAll(() => redis.stop());

/** Runs the kit. Returns the exit status, the number of passed cases, the failed ones and those that were not tried. */
async function verdict(...args: string[]) {
  const { status, stdout, stderr } = await kit("--json", ...TIME, ...args);
  expect(stderr).toBe("");
  const { cases } = JSON.parse(stdout) as { cases: Result[] };
  const of = (wanted: Result["status"]) => cases.filter((one) => one.status === wanted);
  const notTried = of("not tried").map(({ name, reason }) => `${name}: ${reason}`);
  return { status, passed: of("passed").length, failed: of("failed"), notTried };
}

/** Runs the kit on a right server. Returns what was not tried. */
async function passes(least: number, ...args: string[]): Promise<string[]> {
  const { status, passed, failed, notTried } = await verdict(...args);
  const faults = failed.map(({ name, sent, expected, came }) => ({ name, sent, expected, came }));
  expect([status, ...faults]).toEqual([0]);
  expect(passed).toBeGreaterThan(least);
  return notTried;
}

/** A wall clock that moves once a second, so many ids have one time and a counter of two digits. */
const COARSE_CLOCK = "--import=data:text/javascript,const{now}=Date;Date.now=()=>Math.floor(now()/1e3)*1e3";

const NO_RATES =
  "a caller over the rate gets 429 with Retry-After: no request got 429: rates are off or high";

describe.concurrent("holdline passes", () => {
  // First, because it takes longest.
  test("all cases with several processes on one Redis behind nginx, except those of one process", async (context) => {
    const flags = ["--post-rate", "0", "--login-rate", "0", "--metrics"];
    const program = here("../../deploy/cluster.mjs");
    const cluster = spawn(process.execPath, [program, ...flags], { stdio: ["ignore", "pipe", "inherit"] });
    const exited = once(cluster, "exit");
    // The hook of this test: the global one can belong to another test that runs at the same time.
    context.onTestFinished(() => void cluster.kill());
    const printed: string[] = [];
    for await (const line of createInterface(cluster.stdout)) {
      printed.push(line);
      if (line.startsWith("open ")) break;
    }
    const urls = printed.flatMap((line) => /^(?:open|process \d+ on) (\S+)/.exec(line)?.[1] ?? []);
    const notTried = await passes(112, urls.pop() ?? "", "--proxy", "--several");
    // A process knows only its own polls.
    expect(notTried.filter((line) => line.endsWith("not expected of several processes"))).toHaveLength(5);
    expect(urls).toHaveLength(3);
    for (const url of urls) {
      const { body } = await ask(`${url}/metrics`);
      const counts = body.matchAll(/^holdline_(?:posts|polls)_total\{.*\} (\d+)$/gm);
      const requests = [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
      expect(requests, "each process answered many requests").toBeGreaterThan(300);
    }
    cluster.kill("SIGTERM");
    expect(await exited).toEqual([0, null]);
  });

  test("all cases with files, started by the kit", async () => {
    expect(await passes(130, ...ours("--data {data} --metrics"))).toEqual([NO_RATES]);
  });

  test("the cases with Redis that the cluster cannot try, started by the kit", async () => {
    // A prefix separates rooms, as a folder does with files.
    const server = ours(`--redis ${redis.url}?prefix={data}`);
    expect(await passes(25, ...server, "--only", "restarts,polls")).toEqual([]);
  });

  test.each(["bare", "express", "fastify", "koa"])("all cases in memory, in %s", async (host) => {
    const notTried = await passes(127, ...inside(host));
    expect(notTried.filter((line) => line.endsWith("needs {data} in --start"))).toHaveLength(3);
    expect(notTried).toHaveLength(4);
  });

  test("all cases in memory, under a path behind nginx, except those that need --start or no proxy", async () => {
    const server = await startServerWith({ NODE_OPTIONS: COARSE_CLOCK }, "--trust-proxy");
    const location = KEEP_ALIVE.replace("http://chat;", "http://chat/;").replace(
      "Proto https",
      "Proto $scheme",
    );
    const nginx = await startNginx(server.port, `location /a/chat/ { ${location} }`);
    const notTried = await passes(117, `${nginx.url}/a/chat`, "--proxy");
    expect(notTried.filter((line) => line.endsWith("cannot be seen through a proxy"))).toHaveLength(3);
    expect(notTried.filter((line) => line.endsWith("needs --start"))).toHaveLength(5);
    expect(notTried).toContain("/metrics is Prometheus text: this server has no /metrics");
    await nginx.stop();
    expect(await server.stop()).toBe(0);
    expect(server.stderr()).toBe("");
  });

  test("with rates, because the kit waits as Retry-After says", async () => {
    const server = await startServer("--login-rate", "2", "--post-rate", "2");
    expect(await passes(25, server.url, "--only", "errors")).toEqual([]);
    expect(await server.stop()).toBe(0);
  });
});

/** For each fault, the topics that are tried, and the cases that it breaks. */
const BROKEN: [fault: string, topics: string, cases: string[]][] = [
  [
    "no-client",
    "polls,sessions",
    [
      "a newer poll of the same client supersedes the held one, and no other",
      "a newer poll with wait=0 supersedes the held one",
    ],
  ],
  // Dead polls, second pages and repeated polls.
  [
    "queue",
    "delivery,polls,cursors,plain,connections",
    [
      "a later poll gets a message that was posted before anybody polled",
      "two pages of one user both get every message",
      "two polls with the same cursor get the same messages",
      "an aborted poll loses no message",
      "a connection that is reset while a message arrives loses no message",
      "an unread reply loses no message",
      "since=now returns only later messages",
      "a cursor may be percent-encoded",
      "every id in a batch is a valid cursor",
      "plain polls and polls with a cursor are independent",
      "a poll and a post in one packet get their replies in this order, and nothing is lost",
    ],
  ],
  // Messages between two polls, and cursors.
  [
    "waiter-map",
    "delivery,much,polls,cursors,plain,connections,sessions,another history",
    [
      "a later poll gets a message that was posted before anybody polled",
      "alternating posts and polls deliver each message once, in order",
      "every user gets all messages between two polls, whichever user polls first",
      "simultaneous posts form one sequence with growing ids, the same for all readers",
      "two pages of one user both get every message",
      "two polls with the same cursor get the same messages",
      "an aborted poll loses no message",
      "a connection that is reset while a message arrives loses no message",
      "an unread reply loses no message",
      "a long backlog arrives in batches of at most 1 MiB, and the next poll returns at once",
      "a reader behind the backlog gets a gap and the kept messages, at most 1,000 per reply",
      "wait=0 returns at once, with or without news",
      "since=now returns only later messages",
      "a poll by POST takes its fields from the query, a form or JSON",
      "a truncated cursor is refused or gets a gap, and never counts as another cursor",
      "a cursor beyond the end gets a gap, and at once the backlog and a valid cursor",
      "a cursor as high as numbers go gets a gap, and at once the backlog and a valid cursor",
      "a cursor older than all that is kept gets a gap, and at once the backlog and a valid cursor",
      "every id in a batch is a valid cursor",
      "plain polls and polls with a cursor are independent",
      "a poll and a post in one packet get their replies in this order, and nothing is lost",
      "a cursor of another history gets a gap",
    ],
  ],
];

describe.concurrent("the wrong server", () => {
  test.each(BROKEN)("%s fails in its own cases only", async (fault, topics, expected) => {
    const { status, failed } = await verdict(...wrong(fault), "--only", topics);
    expect(status).toBe(1);
    // Any number of the 400 polls can succeed by chance.
    const names = failed.flatMap(({ name }) => (name.startsWith("400 polls") ? [] : [name]));
    expect(names).toEqual(expected);
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
    const { status, stdout } = await kit(...wrong("no-client"), "--only", "supersedes wait=0");
    expect(status).toBe(1);
    expect(stdout).toMatch(
      new RegExp(
        [
          "",
          "polls",
          "  FAIL a newer poll with wait=0 supersedes the held one",
          "         sent      GET /get_post/.*since=.*&wait=8&client=a, held, then the same with wait=0",
          '         expected  "superseded": true',
          '         came      {"cursor":.*"messages":\\[\\]}',
          "         contract  The long poll",
          "",
          "0 passed, 1 failed, 0 not tried, in .* s",
        ].join("\n"),
      ),
    );
  });
});
