#!/usr/bin/env node
/** The kit: flags, the run, the report, the exit status. */
import { parseArgs } from "node:util";
import "./cases/all.js";
import { Fault } from "./fault.js";
import { counts, table } from "./report.js";
import { CASES, runCases } from "./runner.js";
import { Site } from "./site.js";
import { type Started, Starter } from "./start.js";

const USAGE = `Checks a server against the contract (docs/protocol.md), from outside, over HTTP.

  npm run conformance -- http://HOST:PORT[/PATH/] [--only WORDS] [--json] [--proxy] [--several] [--backlog 1000]
                         [--time 90] [--start "COMMAND --port 0 --data {data}"]

  --only WORDS   only cases whose topic and sentence have all of these words; a comma separates alternatives
  --json         the results as JSON
  --proxy        something stands between: do not judge what its connections hide
  --several      several processes answer in turn: do not expect them to supersede each other's polls
  --backlog N    how many messages the server keeps (1000)
  --time S       no case begins after so many seconds (90)
  --start CMD    how to start the server, for restarts, drains and kills. It takes a free port, prints its address and
                 keeps messages in {data}. Without a URL all cases run on such servers, at the same time

The kit writes into the room: use a server for tests, with rates off (holdline: --post-rate 0 --login-rate 0).
With rates on it waits as 429 says, which takes longer. Exit status: 0 all passed, 1 something failed, 2 wrong usage.`;

function wrong(line: string): never {
  process.stderr.write(`conformance: ${line}\n\n${USAGE}\n`);
  process.exit(2);
}

function readFlags() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        only: { type: "string", default: "" },
        json: { type: "boolean", default: false },
        proxy: { type: "boolean", default: false },
        several: { type: "boolean", default: false },
        backlog: { type: "string", default: "1000" },
        time: { type: "string", default: "90" },
        start: { type: "string" },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      process.stdout.write(`${USAGE}\n`);
      process.exit(0);
    }
    if (positionals.length > 1) throw new RangeError(`one URL, not ${positionals.length}`);
    const { start, backlog, time } = values;
    const [url] = positionals;
    if (url === undefined && start === undefined)
      throw new RangeError("which server? Give its URL, or --start");
    if (url !== undefined && !/^https?:$/.test(new URL(url).protocol))
      throw new RangeError(`"${url}" is no http URL`);
    const numbers = { backlog: whole("--backlog", backlog), time: whole("--time", time) };
    return { ...values, ...numbers, url };
  } catch (error) {
    return wrong(error instanceof Error ? error.message : String(error));
  }
}

function whole(flag: string, text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new RangeError(`${flag} takes a whole number, not "${text}"`);
  return Number(text);
}

// A case ends at its first fault. Its other requests can fail afterwards, and that says nothing new.
process.on("unhandledRejection", (error) => {
  if (!(error instanceof Fault) && !(error instanceof Error && error.name === "AbortError")) throw error;
});

const flags = readFlags();
const choices = flags.only.toLowerCase().split(",");
const cases = CASES.filter(({ topic, name }) => {
  const text = `${topic} ${name}`.toLowerCase();
  return choices.some((words) => words.split(" ").every((word) => text.includes(word)));
});
if (cases.length === 0) wrong(`no case has the words "${flags.only}"`);

const { url, start, proxy, several, backlog } = flags;
/** With --start and no URL, each kind of case has servers of its own, so that all run at the same time. */
const SERVERS = 3;
const starter = start === undefined ? undefined : new Starter(start);
const own: Started[] = [];
let status = 1;
try {
  // Few cases do not need many servers.
  const count = cases.length > 20 ? SERVERS : 1;
  for (let n = 0; starter && url === undefined && n < count; n++) own.push(await starter.start());
  const sites = url === undefined ? own.map(({ site }) => site) : [new Site(url)];
  const [site] = sites as [Site];
  // One request first, so that a missing server is reported once.
  await site.ask("healthz", { signal: AbortSignal.timeout(60_000) });
  if (!flags.json) process.stdout.write(`${site.base}: ${cases.length} cases\n`);
  const began = performance.now();
  const results = await runCases(
    cases,
    sites,
    { starter, proxy, several, backlog },
    flags.time * 1000,
    (done, all) => {
      if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${all}${done === all ? "\r\x1b[K" : ""}`);
    },
  );
  const { passed, failed, notTried } = counts(results);
  const seconds = Math.round((performance.now() - began) / 100) / 10;
  if (flags.json) {
    const report = { url: site.base.href, passed, failed, notTried, seconds, cases: results };
    process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  } else {
    const sum = `${passed} passed, ${failed} failed, ${notTried} not tried, in ${seconds} s`;
    process.stdout.write(`${table(results)}\n\n${sum}\n`);
    const slowed = sites.reduce((all, one) => all + one.slowed.length, 0);
    const advice = "without rates this is faster (holdline: --post-rate 0 --login-rate 0)";
    if (slowed > 0) process.stdout.write(`The server said 429 ${slowed} times; ${advice}.\n`);
  }
  status = failed > 0 ? 1 : 0;
  site.close();
} catch (error) {
  if (!(error instanceof Fault)) throw error;
  process.stderr.write(`conformance: ${error.sent}: expected ${error.expected}, came ${error.came}\n`);
} finally {
  await Promise.all(own.map((server) => server.end()));
  await starter?.close();
}
process.exitCode = status;
