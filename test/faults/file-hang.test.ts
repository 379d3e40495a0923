/** The whole server on a disk that hangs or is slow. The shim delays every sync. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { code, Person, texts } from "../wire/person.js";
import { runWith, type Server, startServerWith } from "../wire/server.js";
import { Shim } from "./shim.js";

const AN_HOUR = { syncMs: 3_600_000 };

let folder = "";
let shim: Shim;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdline-hang-"));
  shim = new Shim(folder);
});
afterEach(() => {
  shim.remove();
  rmSync(folder, { recursive: true });
});

async function start(...flags: string[]): Promise<Server> {
  const server = await startServerWith(shim.env, "--data", folder, ...flags);
  onTestFinished(() => server.stop("SIGKILL").then(() => undefined));
  return server;
}

async function login(server: Server, name: string): Promise<Person> {
  const person = await Person.login(server.url, name);
  onTestFinished(() => person.close());
  return person;
}

test("posts on a hung disk get 503, the health check too, and nothing of them appears", async () => {
  const server = await start();
  const [ann, bob] = [await login(server, "ann"), await login(server, "bob")];
  await ann.post("before");
  const held = bob.batch("since=now&wait=60");
  shim.set(AN_HOUR);
  const together = await Promise.all([ann.say("hung 1"), bob.say("hung 2")]);
  for (const reply of [...together, await ann.say("hung 3")]) {
    expect(code(reply)).toEqual([503, "store_unavailable"]);
    expect(reply.headers["retry-after"]).toMatch(/^\d+$/);
  }
  expect(code(await ann.ask("healthz"))).toEqual([503, "store_unavailable"]);
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["before"]);
  // Refused at once: many posts are answered while the one call to the disk does not return.
  for (let n = 0; n < 100; n++) expect((await bob.say(`refused ${n}`)).status).toBe(503);
  expect(shim.get("running")).toBe(1);
  expect(shim.get("mostRunning")).toBe(1);
  expect(server.stderr().trim().split("\n")).toEqual([expect.stringContaining("messages cannot be kept")]);
  shim.heal();
  while ((await ann.ask("healthz")).status !== 200);
  await ann.post("after");
  expect(texts(await held)).toEqual(["after"]);
  expect(server.stderr().trim().split("\n").slice(1)).toEqual([
    expect.stringContaining("messages are kept again"),
  ]);
  await server.stop("SIGKILL");
  await start("--port", `${server.port}`);
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["before", "after"]);
});

test("a post that was refused on a hung disk can be posted again with its key, and is there once", async () => {
  const server = await start();
  const ann = await login(server, "ann");
  shim.set(AN_HOUR);
  expect((await ann.say("once", { "Idempotency-Key": "k" })).status).toBe(503);
  shim.heal();
  while ((await ann.say("once", { "Idempotency-Key": "k" })).status !== 200);
  await server.stop("SIGKILL");
  await start("--port", `${server.port}`);
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["once"]);
});

test("a signal ends a process whose disk hangs, and its last line says why", async () => {
  const server = await start();
  const ann = await login(server, "ann");
  shim.set(AN_HOUR);
  const refused = ann.say("hung");
  while (shim.get("running") === 0) await ann.ask("healthz");
  expect(await server.stop()).toBe("SIGKILL");
  expect(code(await refused)).toEqual([503, "store_unavailable"]);
  expect(server.stderr()).toMatch(/the disk does not answer.*SIGKILL\n$/);
});

test("a second signal ends a process whose disk hangs", async () => {
  const server = await start();
  const ann = await login(server, "ann");
  shim.set(AN_HOUR);
  const cutOff = ann.say("hung").catch(() => undefined);
  while (shim.get("running") === 0) await ann.ask("healthz");
  void server.stop();
  await server.stop();
  await cutOff;
});

test("a signal ends a process that waits for the disk at its start", async () => {
  shim.set(AN_HOUR);
  const { child, exited } = runWith(shim.env, "--port", "0", "--data", folder);
  onTestFinished(() => void child.kill("SIGKILL"));
  while (shim.get("running") === 0) await new Promise((resolve) => setImmediate(resolve));
  child.kill("SIGTERM");
  await exited;
});

test("a signal while a process starts on a slow disk ends it with 0", async () => {
  shim.set({ syncMs: 300 });
  const { child, exited, out } = runWith(shim.env, "--port", "0", "--data", folder);
  onTestFinished(() => void child.kill("SIGKILL"));
  while (shim.get("running") === 0) await new Promise((resolve) => setImmediate(resolve));
  child.kill("SIGTERM");
  expect(await exited).toBe(0);
  expect(out).toEqual({ stdout: "", stderr: "" });
});

test("on a slow disk a signal waits for the posts under way, which are kept", async () => {
  const server = await start();
  const ann = await login(server, "ann");
  shim.set({ syncMs: 700 });
  const post = ann.post("slow");
  while (shim.get("running") === 0) await ann.ask("healthz");
  expect(await server.stop()).toBe(0);
  await post;
  expect(server.stderr()).toBe("");
  shim.heal();
  await start("--port", `${server.port}`);
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["slow"]);
});
