/**
 * The conformance kit, tried itself: our server passes, three that are wrong fail in what they are wrong in, and the
 * program says so to people, to programs, and by its exit status.
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
// What this machine takes for it, with others at work, is not what is asked here.
const TIME = ["--time", "300"];
const LIMIT = 400_000;
// Most of it is waiting, but two cores bear no more than this without being late.
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
  // It outlives the processes that are killed, so it needs no disk.
  redis = await startRedis("--appendonly", "no");
});
afterAll(() => redis.stop());

/** Runs the kit; gives the exit status, what failed (with what came), and what was not tried. */
async function verdict(...args: string[]) {
  const { status, stdout, stderr } = await kit("--json", ...TIME, ...args);
  expect(stderr).toBe("");
  const { cases } = JSON.parse(stdout) as { cases: Result[] };
  const of = (wanted: Result["status"]) => cases.filter((one) => one.status === wanted);
  return {
    status,
    passed: of("passed").length,
    // Of 400 polls of a wrong server some may be lucky, or all.
    failed: of("failed").flatMap(({ name }) => (name.startsWith("400 polls") ? [] : [name])),
    why: of("failed"),
    notTried: of("not tried").map(({ name, reason }) => `${name}: ${reason}`),
  };
}

const NO_RATES =
  "who is too fast is told when to come again: nobody was told 429: the rates are off, or high";
const NO_DATA = [
  "a restart loses nothing: cursors stay good, ids grow on, keys are known: needs {data} in --start",
  "a poll without a cursor goes on where it was before a restart: needs {data} in --start",
  "a kill in the middle of posts loses none that was answered: needs {data} in --start",
];
const NO_CLOCK = [
  "a clock that is set back and forward delays no message and no end of a wait, and ids grow on: needs --clock",
  "a poll without a cursor ends after ten seconds, also when the clock is set back and somebody goes: needs --clock",
];

/** The chat in a host, below /chat. */
const inside = (host: string) => [
  "http://127.0.0.1:{port}/chat/",
  "--start",
  `"${process.execPath}" "${here("hosts.mjs")}" ${host} {port}`,
];

describe.concurrent("our server passes", { timeout: LIMIT }, () => {
  test.each([
    ["with files", () => ["--start", `${OURS} --data {data}`]],
    // What is in one folder with files is under one prefix.
    ["with Redis", () => ["--start", `${OURS} --redis ${redis.url}?prefix={data}`]],
  ])("%s, started by the kit", async (_, args) => {
    const { status, why, passed, notTried } = await verdict(...args());
    expect({ status, why, notTried }).toEqual({ status: 0, why: [], notTried: [NO_RATES, ...NO_CLOCK] });
    expect(passed).toBeGreaterThan(150);
  });

  // These hand requests over as they are, so what may differ is who answers errors, and the end.
  test.each(["bare", "fastify", "koa"])("in a host: %s, its errors and its end", async (host) => {
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

  // The one that takes the path off.
  test("in a host: express, all of it", async () => {
    const { status, why, passed, notTried } = await verdict(...inside("express"));
    expect({ status, why, notTried }).toEqual({
      status: 0,
      why: [],
      notTried: [NO_RATES, ...NO_DATA, ...NO_CLOCK],
    });
    expect(passed).toBeGreaterThan(150);
  });

  test("with two processes on one Redis, whichever of them nginx asks", async () => {
    const cluster = await startCluster(`${redis.url}?prefix=cluster`);
    const { status, why, notTried } = await verdict(cluster.url, "--proxy", "--several");
    expect({ status, why }).toEqual({ status: 0, why: [] });
    // Each process knows of its own polls only.
    expect(notTried.filter((line) => line.endsWith("not expected of several processes"))).toEqual([
      "a newer poll of the same client supersedes the one that is held, and only it: not expected of several processes",
      "a newer poll that does not wait supersedes the one that is held: not expected of several processes",
      "begins where its user last opened the room, also with an older cookie: not expected of several processes",
      "answers the same cookie with the same text three times, then goes on: not expected of several processes",
      "gives a caller without a cookie each text once: not expected of several processes",
    ]);
    // Both had much to do.
    for (const { posts, polls } of await cluster.answered()) {
      expect(posts).toBeGreaterThan(500);
      expect(polls).toBeGreaterThan(200);
    }
    expect(await cluster.stop()).toEqual([0, 0]);
  });

  test("in memory, started by somebody else: then what needs a start is not tried", async () => {
    const server = await startServer();
    const { status, why, notTried } = await verdict(server.url);
    expect({ status, why }).toEqual({ status: 0, why: [] });
    expect(notTried.filter((line) => line.endsWith("needs --start"))).toHaveLength(7);
    expect(notTried).toContain("/metrics is Prometheus text: this server has no /metrics");
    expect(await server.stop()).toBe(0);
    expect(server.stderr()).toBe("");
  });

  test("under a path, behind nginx", async () => {
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

  test("with rates, since the kit waits as it is told", async () => {
    const server = await startServer("--login-rate", "2", "--post-rate", "2");
    const { status, why, notTried } = await verdict(server.url, "--only", "errors");
    expect({ status, why, notTried }).toEqual({ status: 0, why: [], notTried: [] });
    expect(await server.stop()).toBe(0);
  });

  test("with a clock that is set", async () => {
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

/** What nobody sees without a message between two polls, or a cursor. */
const WITHOUT_BACKLOG = [
  "a message posted before anybody polls is there for who comes later",
  "messages posted between two polls come with the next one, in order",
  "posts and polls that take turns give each message once, in order",
  "everybody gets each message, and nobody's polls take one from another",
  "what is posted by many at once is one sequence, the same for all, with ids that grow",
  "two pages of one person both get everything",
  "asking twice with one cursor gives the same twice",
  "a poll that its caller broke off takes nothing with it",
  "a connection that is reset in the very moment of the message takes nothing with it",
  "an answer that nobody reads takes nothing with it",
  "a long history comes in slices of at most 1 MiB, in order, and after a slice the next poll returns at once",
  "who is further behind than the backlog is told of the gap and gets what is kept, at most 1,000 in one answer",
  "wait=0 answers at once, with news or without",
  "since=now is only what comes next",
  "a poll may come by POST, with its fields in the query, a form or JSON",
  "a cursor that lost its end is refused, or told of a gap, but never taken for another",
  "a cursor beyond the end is told of a gap, at once, with what is kept and a cursor that is good",
  "a cursor as far beyond the end as a number goes is told of a gap, at once, with what is kept and a cursor that is good",
  "a cursor older than all that is kept is told of a gap, at once, with what is kept and a cursor that is good",
  "every id that a batch carries is a good cursor",
  "and one with a cursor do not move each other",
  "a poll and a post in one packet get their answers in this order, and nothing is lost",
  "a cursor of another history is told of the gap",
];

/** What is posted and then read fails there as well, whatever it is about. */
const READ_LATER = ["messages", "names"];

describe.concurrent("a server that is wrong fails", { timeout: LIMIT }, () => {
  const start = (wrong: string) => [
    "--start",
    `"${process.execPath}" "${here(`wrong/${wrong}.mjs`)}" --port {port}`,
  ];

  test("in superseding, and nothing else, when it ignores `client`", async () => {
    const { status, failed } = await verdict(...start("no-client"));
    expect(status).toBe(1);
    expect(failed).toEqual([
      "a newer poll of the same client supersedes the one that is held, and only it",
      "a newer poll that does not wait supersedes the one that is held",
    ]);
  });

  test("in all that a queue per user loses to dead polls, second pages and second tries", async () => {
    const { status, failed } = await verdict(...start("queue"));
    expect(status).toBe(1);
    expect(failed).toEqual([
      "a message posted before anybody polls is there for who comes later",
      "two pages of one person both get everything",
      "asking twice with one cursor gives the same twice",
      "a poll that its caller broke off takes nothing with it",
      "a connection that is reset in the very moment of the message takes nothing with it",
      "an answer that nobody reads takes nothing with it",
      "since=now is only what comes next",
      "a cursor may be percent-encoded",
      "every id that a batch carries is a good cursor",
      "and one with a cursor do not move each other",
      "a poll and a post in one packet get their answers in this order, and nothing is lost",
    ]);
  });

  test("in all that comes between two polls, when it is a map of waiters without a backlog", async () => {
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
    ["a URL that is none", ["localhost"]],
    ["a URL that is not HTTP", ["ftp://127.0.0.1/"]],
    ["an unknown flag", ["http://127.0.0.1:1", "--colour"]],
    ["words that no case has", ["http://127.0.0.1:1", "--only", "unicorn"]],
    ["a command without a port", ["--start", "node server.js"]],
    ["a clock without a command", ["http://127.0.0.1:1", "--clock", "node"]],
    ["a clock that is none", ["--start", "x {port}", "--clock", "sun"]],
    ["a time that is no number", ["http://127.0.0.1:1", "--time", "soon"]],
  ])("ends with 2 for %s, and shows the flags", async (_, args) => {
    const { status, stdout, stderr } = await kit(...args);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/^conformance: .+\n\nChecks a server/);
  });

  test("ends with 1 when there is no server, or none that starts, in one line", async () => {
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

  test("says of a failure what was sent, what was expected and where that is said, and what came", async () => {
    const start = `"${process.execPath}" "${here("wrong/no-client.mjs")}" --port {port}`;
    const { status, stdout } = await kit("--start", start, "--only", "supersedes not wait");
    expect(status).toBe(1);
    expect(stdout).toMatch(
      new RegExp(
        [
          "",
          "polls",
          "  FAIL a newer poll that does not wait supersedes the one that is held",
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
