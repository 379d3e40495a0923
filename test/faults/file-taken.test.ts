/** Two servers and one folder: one folder is deleted or moved under a server, and another server starts on it. */
import { on } from "node:events";
import { mkdirSync, readdirSync, rmSync, watch } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { texts } from "../wire/person.js";
import { login, refusedStart, start, startAgain } from "./file-servers.js";
import { newFolder } from "./file-store.js";

let folder = "";
beforeEach(() => {
  folder = join(newFolder(), "data");
});

test("a server whose folder was deleted stays refused when another server's messages are in it", async () => {
  const a = await start(folder);
  const ann = await login(a, "ann");
  for (const text of ["A1", "A2"]) await ann.post(text);
  rmSync(folder, { recursive: true });
  const b = await start(folder);
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
  await startAgain(folder, b);
  expect(texts(await bob.batch("since=0&wait=0"))).toEqual(["B1", "B2", "B3"]);
  expect(await a.stop()).toBe(0);
});

test("a server whose folder was emptied stays refused when another server's messages are in it", async () => {
  const a = await start(folder);
  const ann = await login(a, "ann");
  await ann.post("A1");
  for (const name of readdirSync(folder)) rmSync(join(folder, name));
  const b = await start(folder);
  const bob = await login(b, "bob");
  await bob.post("B1");
  expect((await ann.say("A2")).status).toBe(503);
  await b.stop("SIGKILL");
  expect((await ann.say("A3")).status).toBe(503);
  await startAgain(folder, b);
  expect(texts(await bob.batch("since=0&wait=0"))).toEqual(["B1"]);
});

test("a server whose folder was deleted goes on when an empty one is there again, with the same sessions", async () => {
  const server = await start(folder);
  const ann = await login(server, "ann");
  await ann.post("deleted");
  rmSync(folder, { recursive: true });
  expect((await ann.say("refused")).status).toBe(503);
  mkdirSync(folder);
  while ((await ann.say("kept")).status !== 200);
  expect(await refusedStart(folder)).toContain("another process uses it");
  await server.stop("SIGKILL");
  await startAgain(folder, server);
  // What was deleted need not come back.
  expect(texts(await ann.batch("since=0&wait=0")).at(-1)).toBe("kept");
});
