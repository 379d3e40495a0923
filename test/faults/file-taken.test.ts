/** Two servers and one folder: one folder is deleted or moved under a server, and another server starts on it. */
import { on } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, watch } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { Person, texts } from "../wire/person.js";
import { run, type Server, startServer } from "../wire/server.js";

let folder = "";
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "holdline-taken-")), "data");
});
afterEach(() => rmSync(join(folder, ".."), { recursive: true }));

async function start(...flags: string[]): Promise<Server> {
  const server = await startServer("--data", folder, ...flags);
  onTestFinished(() => server.stop("SIGKILL").then(() => undefined));
  return server;
}

async function login(server: Server, name: string): Promise<Person> {
  const person = await Person.login(server.url, name);
  onTestFinished(() => person.close());
  return person;
}

test("a server whose folder was deleted stays refused when another server's messages are in it", async () => {
  const a = await start();
  const ann = await login(a, "ann");
  for (const text of ["A1", "A2"]) await ann.post(text);
  rmSync(folder, { recursive: true });
  const b = await start();
  const bob = await login(b, "bob");
  for (const text of ["B1", "B2", "B3"]) await bob.post(text);
  expect((await ann.say("A while B runs")).status).toBe(503);
  await b.stop();
  // Each attempt of the first server makes a lock for a moment.
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
  await start("--port", `${b.port}`);
  expect(texts(await bob.batch("since=0&wait=0"))).toEqual(["B1", "B2", "B3"]);
  expect(await a.stop()).toBe(0);
});

test("a server whose folder was emptied stays refused when another server's messages are in it", async () => {
  const a = await start();
  const ann = await login(a, "ann");
  await ann.post("A1");
  for (const name of readdirSync(folder)) rmSync(join(folder, name));
  const b = await start();
  const bob = await login(b, "bob");
  await bob.post("B1");
  expect((await ann.say("A2")).status).toBe(503);
  await b.stop("SIGKILL");
  expect((await ann.say("A3")).status).toBe(503);
  await start("--port", `${b.port}`);
  expect(texts(await bob.batch("since=0&wait=0"))).toEqual(["B1"]);
});

test("a server whose folder was deleted goes on when an empty one is there again, with the same sessions", async () => {
  const server = await start();
  const ann = await login(server, "ann");
  await ann.post("deleted");
  rmSync(folder, { recursive: true });
  expect((await ann.say("refused")).status).toBe(503);
  mkdirSync(folder);
  while ((await ann.say("kept")).status !== 200);
  const { exited, out } = run("--port", "0", "--data", folder);
  expect(await exited).toBe(1);
  expect(out.stderr).toContain("another process uses it");
  await server.stop("SIGKILL");
  await start("--port", `${server.port}`);
  // What was deleted need not come back.
  expect(texts(await ann.batch("since=0&wait=0")).at(-1)).toBe("kept");
});

test("of two servers that start on one folder at once, one runs and the other is refused", async () => {
  for (let round = 0; round < 12; round++) {
    const servers = [1, 2].map(() => run("--port", "0", "--data", folder));
    const ends = servers.map(async ({ child, exited, out }) => {
      const listens = new Promise<string>((resolve) => {
        child.stdout?.on("data", () => out.stdout.includes("listening") && resolve("runs"));
      });
      return Promise.race([listens, exited.then(() => out.stderr)]);
    });
    const [runs, refused] = (await Promise.all(ends)).toSorted((a, b) => b.length - a.length).reverse();
    expect([round, runs]).toEqual([round, "runs"]);
    expect(refused).toMatch(/^holdline: .*another process uses it.*\n$/);
    // Every second time as a crash: what it leaves must not lock the next two out.
    for (const { child } of servers) child.kill(round % 2 ? "SIGKILL" : "SIGTERM");
    await Promise.all(servers.map(({ exited }) => exited));
  }
});
