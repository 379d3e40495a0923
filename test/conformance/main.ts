#!/usr/bin/env node
/** The kit: flags, the run, the report, the exit status. */
import { parseArgs } from "node:util";
import "./cases/delivery.js";
import "./cases/polls.js";
import "./cases/messages.js";
import "./cases/people.js";
import "./cases/http.js";
import "./cases/restart.js";
import { Fault } from "./fault.js";
import { CASES, type Result, runCases } from "./runner.js";
import { Site } from "./site.js";
import { Starter } from "./start.js";

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
With rates on it waits as 429 says, which takes longer. Exit status: 0 all passed, 1 something failed, 2 wrong usage.
`;

function readFlags() {
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
  const { start, only, backlog, time, help } = values;
  const [url, second] = positionals;
  if (second !== undefined) throw new RangeError(`one URL, not ${positionals.length}`);
  if (!(url ?? start ?? help)) throw new RangeError("which server? Give its URL, or --start");
  if (url !== undefined && !/^https?:$/.test(new URL(url).protocol))
    throw new RangeError(`"${url}" is no http URL`);
  for (const [flag, text] of Object.entries({ backlog, time }))
    if (!/^[1-9]\d{0,6}$/.test(text)) throw new RangeError(`--${flag} takes a whole number, not "${text}"`);
  const choices = only.toLowerCase().split(",");
  const cases = CASES.filter(({ topic, name }) => {
    const text = `${topic} ${name}`.toLowerCase();
    return choices.some((words) => words.split(" ").every((word) => text.includes(word)));
  });
  if (cases.length === 0) throw new RangeError(`no case has the words "${only}"`);
  return { ...values, url, cases, backlog: Number(backlog), time: Number(time) };
}

const MARKS = { passed: "ok  ", failed: "FAIL", "not tried": "-   " } as const;

/** Returns the results by topic. A failure shows what was sent, expected and received, and the section of the contract. */
function table(results: readonly Result[]): string {
  const lines = results.flatMap(({ topic, status, name, reason, sent, expected, came, section }, at) => {
    const heading = topic === results[at - 1]?.topic ? [] : ["", topic];
    const line = `  ${MARKS[status]} ${name}${reason ? ` (not tried: ${reason})` : ""}`;
    const fault = Object.entries({ sent, expected, came, contract: section });
    const details = fault.map(([part, text]) => `         ${part.padEnd(9)} ${text}`);
    return [...heading, line, ...(status === "failed" ? details : [])];
  });
  return lines.join("\n");
}

/** Runs the cases and prints the results. Returns the exit status. */
async function check(flags: ReturnType<typeof readFlags>): Promise<number> {
  const { cases, url, start, time, json, proxy, several, backlog } = flags;
  const starter = start === undefined ? undefined : new Starter(start);
  try {
    // Without a URL, each kind of case has a server of its own. Few cases do not need many servers.
    const own: Site[] = [];
    const needed = cases.length > 20 ? 3 : 1;
    for (let n = 0; starter && url === undefined && n < needed; n++) own.push((await starter.start()).site);
    const [site = new Site(url ?? ""), ...others] = own;
    // One request first, so that a missing server is reported once.
    await site.ask("healthz", { signal: AbortSignal.timeout(60_000) });
    if (!json) process.stdout.write(`${site.base}: ${cases.length} cases\n`);
    const began = performance.now();
    const here = { starter, proxy, several, backlog };
    const results = await runCases(cases, [site, ...others], here, time * 1000, (done) => {
      const text = done < cases.length ? `${done} of ${cases.length}` : "";
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
    });
    const count = (status: Result["status"]) => results.filter((result) => result.status === status).length;
    const [passed, failed, notTried] = [count("passed"), count("failed"), count("not tried")];
    const seconds = Math.round((performance.now() - began) / 100) / 10;
    const sum = `${passed} passed, ${failed} failed, ${notTried} not tried, in ${seconds} s`;
    const report = { url: site.base.href, passed, failed, notTried, seconds, cases: results };
    process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : `${table(results)}\n\n${sum}\n`);
    site.close();
    return failed > 0 ? 1 : 0;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    process.stderr.write(`conformance: ${error.message}\n`);
    return 1;
  } finally {
    await starter?.close();
  }
}

// A case ends at its first fault. Its other requests can fail afterwards, and that says nothing new.
process.on("unhandledRejection", (error) => {
  if (!(error instanceof Fault) && !(error instanceof Error && error.name === "AbortError")) throw error;
});

let flags: ReturnType<typeof readFlags> | undefined;
try {
  flags = readFlags();
} catch (error) {
  process.exitCode = 2;
  process.stderr.write(`conformance: ${error instanceof Error ? error.message : error}\n\n${USAGE}`);
}
if (flags?.help) process.stdout.write(USAGE);
else if (flags) process.exitCode = await check(flags);
