/** The whole server on a folder: killed under load, started twice, with absurd content, deleted or moved. */
import { on } from "node:events";
import { mkdirSync, readdirSync, rmSync, watch, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { beforeEach, expect, test } from "vitest";
import { HTML, texts } from "../wire/person.js";
import { printed } from "../wire/server.js";
import { FileServers } from "./file-servers.js";
import { lineOf, newFolder } from "./file-store.js";
import { startSwarm } from "./swarm.js";

let folder = "";
let servers: FileServers;
beforeEach(() => {
  folder = newFolder();
  servers = new FileServers(folder);
});

/** Each one costs the start of a process. */
const KILLS = 12;

test("a server that is killed again and again under eight posters keeps every post once, and a reader sees it once", async () => {
  // More than will be posted: a reader must never be told of a gap.
  const flags = ["--backlog", "50000"];
  let server = await servers.start(...flags);
  const swarm = await startSwarm([server.url], 1, 8, 0);
  for (let life = 1; life <= KILLS; life++) {
    const enough = swarm.kept() + 1 + Math.floor(Math.random() * 100);
    while (swarm.kept() < enough) await Promise.race([delay(1), swarm.done]);
    await server.stop("SIGKILL");
    server = await servers.startAgain(server, ...flags);
  }
  swarm.finish();
  await swarm.done;
  expect([...swarm.refused]).toEqual(["cut off"]);
});

test("a second server on the same folder ends with one line that says why, also while the first one is stopped", async () => {
  const server = await servers.start();
  const ann = await servers.login(server, "ann");
  await ann.post("before");
  for (const signal of ["SIGSTOP", "SIGCONT"] as const) {
    process.kill(server.pid, signal);
    await servers.expectRefusedStart();
  }
  await ann.post("after");
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["before", "after"]);
});

test("of two servers that start at once on one folder, one runs and the other is refused, also after a crash", async () => {
  for (let round = 0; round < 10; round++) {
    const runs = [servers.run(), servers.run()];
    const outcomes = runs.map((one) => printed(one, /listening/).catch(() => one.out.stderr));
    const refusal = expect.stringContaining("another process uses it");
    expect((await Promise.all(outcomes)).toSorted()).toEqual([refusal, "listening"]);
    for (const { child } of runs) child.kill(round % 2 ? "SIGKILL" : "SIGTERM");
    await Promise.all(runs.map(({ exited }) => exited));
  }
});

const HEAD = lineOf('{"holdline":1,"floor":"1718000000000-0"}');
const GOOD = lineOf('{"id":"1718000000001-0","user":"ann","text":"good","at":1718000000001}');
const ABSURD = [
  '{"id":"1718000000002-0","user":"eve","text":"bad","at":1e300}',
  '{"id":"1718000000002-0","user":"eve","text":"bad","at":-1}',
  '{"id":"1718000000002-0","user":"eve","text":"bad","at":8640000000000001}',
  '{"id":"1718000000002-0","user":"eve","text":"bad","at":1.5}',
  '{"id":"18446744073709551615-0","user":"eve","text":"bad","at":1718000000002}',
  '{"id":"1718000000002-9007199254740993","user":"eve","text":"bad","at":1718000000002}',
  '{"id":"1718000000002-0","user":null,"text":"bad","at":1718000000002}',
  '{"id":"1718000000002-0","user":"eve","text":{"a":1},"at":1718000000002}',
  '{"id":"1718000000002-0","user":"eve","text":"bad","at":1718000000002,"kind":"explode"}',
  '{"id":"1718000000002-0","user":"eve","text":"bad","at":1718000000002,"key":7}',
];
const JUNK = ['{"', '{"id":"', ',"crc":"00000000"}', '{"id":"1-0","crc":"00000000"}', "[[", "\n\n"];

test.each([
  ["lines with absurd values and right checksums", ABSURD.map(lineOf), `: ${ABSURD.length}\n`],
  ["twenty megabytes of parts of records", JUNK.map((part) => `${part.repeat(4e6 / part.length)}\n`), ": "],
])("%s are skipped, and cost no message", async (_, lines, count) => {
  writeFileSync(join(folder, "messages.jsonl"), HEAD + lines.join("") + GOOD);
  const server = await servers.start();
  const bob = await servers.login(server, "bob");
  expect((await bob.ask("chatroom/bob/", { headers: HTML })).status).toBe(200);
  expect(Number((await bob.post("after")).split("-")[0])).toBeLessThanOrEqual(Date.now());
  expect(texts(await bob.batch("since=0&wait=0"))).toEqual(["good", "after"]);
  expect(server.stderr()).toContain(`are skipped${count}`);
});

test.each([
  ["deleted", () => rmSync(folder, { recursive: true })],
  ["emptied", () => readdirSync(folder).forEach((name) => void rmSync(join(folder, name)))],
])("a server whose folder was %s stays refused when another server's messages are in it", async (_, lose) => {
  const a = await servers.start();
  const ann = await servers.login(a, "ann");
  for (const text of ["A1", "A2"]) await ann.post(text);
  lose();
  const b = await servers.start();
  const bob = await servers.login(b, "bob");
  for (const text of ["B1", "B2", "B3"]) await bob.post(text);
  expect((await ann.say("A while B runs")).status).toBe(503);
  await b.stop();
  const files = () => readdirSync(folder).filter((name) => !name.startsWith("lock-"));
  const before = files();
  const attempts = watch(folder);
  for (let n = 0; n < 3; n++) {
    // Each attempt of the first server to get its folder back begins with a lock.
    for await (const [, name] of on(attempts, "change")) if (`${name}`.startsWith("lock-")) break;
    expect((await ann.say("A when B has ended")).status).toBe(503);
    expect((await ann.ask("healthz")).status).toBe(503);
  }
  attempts.close();
  expect(files()).toEqual(before);
  // The folder is not locked by the server that lost it.
  await servers.startAgain(b);
  expect(texts(await bob.batch("since=0&wait=0"))).toEqual(["B1", "B2", "B3"]);
  expect(await a.stop()).toBe(0);
});

test("a server whose folder was deleted goes on when an empty one is there again, with the same sessions", async () => {
  const server = await servers.start();
  const ann = await servers.login(server, "ann");
  await ann.post("deleted");
  rmSync(folder, { recursive: true });
  expect((await ann.say("refused")).status).toBe(503);
  mkdirSync(folder);
  while ((await ann.say("kept")).status !== 200);
  await servers.expectRefusedStart();
  await server.stop("SIGKILL");
  await servers.startAgain(server);
  // What was deleted need not come back.
  expect(texts(await ann.batch("since=0&wait=0")).at(-1)).toBe("kept");
});
