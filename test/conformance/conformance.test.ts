/**
 * Tests of the conformance kit: holdline passes, three wrong servers fail in their fault, and the program reports the
 * results as text, as JSON and by its exit status.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { KEEP_ALIVE, startNginx } from "../faults/nginx.js";
import { type Redis, startRedis } from "../wire/redis.js";
import { startServer } from "../wire/server.js";
import { startCluster } from "./cluster.js";
import type { Result } from "./runner.js";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const TSC = here("../../node_modules/typescript/bin/tsc");
const OURS = `"${process.execPath}" "${here("../../dist/server.js")}" --port {port} --post-rate 0 --login-rate 0 --metrics`;
// A backstop only. A busy machine needs much more than the kit does alone.
const TIME = ["--time", "300"];
const LIMIT = 400_000;
// The cases mostly wait, but with more at once two cores delay them too much.
vi.setConfig({ maxConcurrency: 4 });

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

/** Runs the kit. Returns the exit status, the failed cases and those that were not tried. */
async function verdict(...args: string[]) {
  const { status, stdout, stderr } = await kit("--json", ...TIME, ...args);
  expect(stderr).toBe("");
  const { cases } = JSON.parse(stdout) as { cases: Result[] };
  const of = (wanted: Result["status"]) => cases.filter((one) => one.status === wanted);
  return {
    status,
    passed: of("passed").length,
    // With a wrong server, any number of the 400 polls can succeed by chance.
    failed: of("failed").flatMap(({ name }) => (name.startsWith("400 polls") ? [] : [name])),
    why: of("failed"),
    notTried: of("not tried").map(({ name, reason }) => `${name}: ${reason}`),
  };
}

const NO_RATES =
  "a caller over the rate gets 429 with Retry-After: no request got 429: rates are off or high";
const NO_DATA = [
  "a restart keeps messages, cursors, growing ids and idempotency keys: needs {data} in --start",
  "a plain poll continues after a restart where it was before: needs {data} in --start",
  "a kill during posts loses no acknowledged message: needs {data} in --start",
];
const NO_CLOCK = [
  "a wall clock that jumps back and forward delays no message and no time-out, and ids grow: needs --clock",
  "a plain poll ends after ten seconds, also when the wall clock jumps back and a user leaves: needs --clock",
];

/** Starts a host with the chat at /chat. */
const inside = (host: string) => [
  "http://127.0.0.1:{port}/chat/",
  "--start",
  `"${process.execPath}" "${here("hosts.mjs")}" ${host} {port}`,
];

describe.concurrent("holdline passes", { timeout: LIMIT }, () => {
  test.each([
    ["with files", () => ["--start", `${OURS} --data {data}`]],
    // A prefix separates rooms, as a folder does with files.
    ["with Redis", () => ["--start", `${OURS} --redis ${redis.url}?prefix={data}`]],
  ])("%s, started by the kit", async (_, args) => {
    const { status, why, passed, notTried } = await verdict(...args());
    expect({ status, why, notTried }).toEqual({ status: 0, why: [], notTried: [NO_RATES, ...NO_CLOCK] });
    expect(passed).toBeGreaterThan(150);
  });

  // These hosts pass requests on unchanged. Only errors and the drain can differ.
  test.each(["bare", "fastify", "koa"])("the errors and drain cases in the host %s", async (host) => {
    for (const only of ["errors", "drain"]) {
      const { status, why, passed, notTried } = await verdict(...inside(host), "--only", only);
      expect({ status, why, notTried }).toEqual({
        status: 0,
        why: [],
        notTried: only === "errors" ? [NO_RATES] : [],
      });
      expect(passed).toBeGreaterThan(0);
    }
  });

  // This host removes the mount path.
  test("all cases in Express", async () => {
    const { status, why, passed, notTried } = await verdict(...inside("express"));
    expect({ status, why, notTried }).toEqual({
      status: 0,
      why: [],
      notTried: [NO_RATES, ...NO_DATA, ...NO_CLOCK],
    });
    expect(passed).toBeGreaterThan(150);
  });

  test("all cases with two processes on one Redis behind nginx", async () => {
    const cluster = await startCluster(`${redis.url}?prefix=cluster`);
    const { status, why, notTried } = await verdict(cluster.url, "--proxy", "--several");
    expect({ status, why }).toEqual({ status: 0, why: [] });
    // A process knows only its own polls.
    expect(notTried.filter((line) => line.endsWith("not expected of several processes"))).toEqual([
      "a newer poll of the same client supersedes the held one, and no other: not expected of several processes",
      "a newer poll with wait=0 supersedes the held one: not expected of several processes",
      "the first plain poll after a page view starts at that view, also with an older cookie: not expected of several processes",
      "plain polls with the same cookie get the same text three times and then the next one: not expected of several processes",
      "a caller without a cookie gets each text once: not expected of several processes",
    ]);
    // Both processes answered many requests.
    for (const { posts, polls } of await cluster.answered()) {
      expect(posts).toBeGreaterThan(500);
      expect(polls).toBeGreaterThan(200);
    }
    expect(await cluster.stop()).toEqual([0, 0]);
  });

  test("in memory, without --start, and skips the cases that need a start", async () => {
    const server = await startServer();
    const { status, why, notTried } = await verdict(server.url);
    expect({ status, why }).toEqual({ status: 0, why: [] });
    expect(notTried.filter((line) => line.endsWith("needs --start"))).toHaveLength(7);
    expect(notTried).toContain("/metrics is Prometheus text: this server has no /metrics");
    expect(await server.stop()).toBe(0);
    expect(server.stderr()).toBe("");
  });

  test("all cases under a path behind nginx", async () => {
    const server = await startServer("--trust-proxy");
    const inside = KEEP_ALIVE.replace("http://chat;", "http://chat/;").replace(
      "X-Forwarded-Proto https",
      "X-Forwarded-Proto $scheme",
    );
    const nginx = await startNginx(server.port, `location /a/chat/ { ${inside} }`);
    const { status, why, notTried } = await verdict(`${nginx.url}/a/chat`, "--proxy");
    expect({ status, why }).toEqual({ status: 0, why: [] });
    expect(notTried.filter((line) => line.endsWith("cannot be seen through a proxy"))).toHaveLength(3);
    await nginx.stop();
    expect(await server.stop()).toBe(0);
  });

  test("with rates, because the kit waits as Retry-After says", async () => {
    const server = await startServer("--login-rate", "2", "--post-rate", "2");
    const { status, why, notTried } = await verdict(server.url, "--only", "errors");
    expect({ status, why, notTried }).toEqual({ status: 0, why: [], notTried: [] });
    expect(await server.stop()).toBe(0);
  });

  test("with clock changes", async () => {
    const { status, why, notTried } = await verdict(
      "--start",
      `${OURS} --data none`,
      "--clock",
      "node",
      "--only",
      "restarts clock",
    );
    expect({ status, why, notTried }).toEqual({ status: 0, why: [], notTried: [] });
  });
});

/** The cases that need a message between two polls, or a cursor. */
const WITHOUT_BACKLOG = [
  "a later poll gets a message that was posted before anybody polled",
  "the next poll gets the messages that were posted between two polls, in order",
  "alternating posts and polls deliver each message once, in order",
  "every user gets each message, whichever user polls first",
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
  "a cursor beyond the end gets a gap at once, with the backlog and a valid cursor",
  "a cursor as far beyond the end as a number goes gets a gap at once, with the backlog and a valid cursor",
  "a cursor older than all that is kept gets a gap at once, with the backlog and a valid cursor",
  "every id in a batch is a valid cursor",
  "plain polls and polls with a cursor are independent",
  "a poll and a post in one packet get their replies in this order, and nothing is lost",
  "a cursor of another history gets a gap",
];

/** The topics whose cases post first and read later. They fail there as well. */
const READ_LATER = ["messages", "names"];

describe.concurrent("a wrong server fails", { timeout: LIMIT }, () => {
  const start = (wrong: string) => [
    "--start",
    `"${process.execPath}" "${here(`wrong/${wrong}.mjs`)}" --port {port}`,
  ];

  test("only the supersede cases if it ignores `client`", async () => {
    const { status, failed } = await verdict(...start("no-client"));
    expect(status).toBe(1);
    expect(failed).toEqual([
      "a newer poll of the same client supersedes the held one, and no other",
      "a newer poll with wait=0 supersedes the held one",
    ]);
  });

  test("the cases of dead polls, second pages and repeated polls if it has a queue per user", async () => {
    const { status, failed } = await verdict(...start("queue"));
    expect(status).toBe(1);
    expect(failed).toEqual([
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
    ]);
  });

  test("the cases of messages between two polls if it has no backlog", async () => {
    const { status, failed, why } = await verdict(...start("waiter-map"));
    expect(status).toBe(1);
    const late = why.filter(({ topic }) => READ_LATER.includes(topic)).map(({ name }) => name);
    expect(failed.filter((name) => !late.includes(name))).toEqual(WITHOUT_BACKLOG);
    for (const { topic, expected, came } of why)
      if (READ_LATER.includes(topic)) expect([expected, came]).toEqual([expect.stringMatching(/^\[/), "[]"]);
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
    ["a command without a port", ["--start", "node server.js"]],
    ["a clock without a command", ["http://127.0.0.1:1", "--clock", "node"]],
    ["an unknown clock", ["--start", "x {port}", "--clock", "sun"]],
    ["a time that is not a number", ["http://127.0.0.1:1", "--time", "soon"]],
  ])("ends with 2 for %s, and shows the flags", async (_, args) => {
    const { status, stdout, stderr } = await kit(...args);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/^conformance: .+\n\nChecks a server/);
  });

  test("ends with 1 and one line when the server is missing or does not start", async () => {
    const gone = await kit("http://127.0.0.1:1");
    expect([gone.status, gone.stderr]).toEqual([
      1,
      "conformance: GET /healthz: expected a reply, came no reply: ECONNREFUSED\n",
    ]);
    const broken = await kit("--start", `"${process.execPath}" nowhere.js {port}`);
    expect([broken.status, broken.stderr.split("\n").length]).toEqual([1, 2]);
    expect(broken.stderr).toContain("nowhere.js");
    const none = await kit("--start", "/nowhere/server {port}");
    expect([none.status, none.stderr]).toEqual([1, expect.stringContaining("ENOENT")]);
  });

  test("reports what was sent, expected and received, and the section of the contract", async () => {
    const start = `"${process.execPath}" "${here("wrong/no-client.mjs")}" --port {port}`;
    const { status, stdout } = await kit("--start", start, "--only", "supersedes wait=0");
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
          "         contract  The long poll: client.*",
          "",
          "0 passed, 1 failed, 0 not tried, in .* s",
        ].join("\n"),
      ),
    );
  });
});
