/** The whole server on a disk that hangs or is slow. The tests mostly wait, so they run at the same time. */
import { setImmediate } from "node:timers/promises";
import { type TestContext, test } from "vitest";
import { code, Person, texts } from "../wire/person.js";
import { type Run, runWith, type Server, startServerWith } from "../wire/server.js";
import { Shim } from "./shim.js";

const AN_HOUR = { syncMs: 3_600_000 };

class Disk extends Shim {
  readonly #context: TestContext;

  constructor(context: TestContext) {
    super();
    this.#context = context;
    context.onTestFinished(() => this.remove());
  }

  async start(...flags: string[]): Promise<Server> {
    const server = await startServerWith(this.env, "--data", this.folder, ...flags);
    this.#context.onTestFinished(() => server.stop("SIGKILL").then(() => undefined));
    return server;
  }

  /** Runs the program without waiting for its start. */
  run(): Run {
    const run = runWith(this.env, "--port", "0", "--data", this.folder);
    this.#context.onTestFinished(() => void run.child.kill("SIGKILL"));
    return run;
  }

  async login(server: Server, name: string): Promise<Person> {
    const person = await Person.login(server.url, name);
    this.#context.onTestFinished(() => person.close());
    return person;
  }

  /** Waits until a call hangs. */
  async untilBusy(): Promise<void> {
    while (this.get("running") === 0) await setImmediate();
  }
}

test.concurrent("posts and health checks on a hung disk get 503, and nothing of the posts appears", async (context) => {
  const { expect } = context;
  const disk = new Disk(context);
  const server = await disk.start();
  const [ann, bob] = [await disk.login(server, "ann"), await disk.login(server, "bob")];
  await ann.post("before");
  const held = bob.batch("since=now&wait=60");
  disk.set(AN_HOUR);
  const once = { "Idempotency-Key": "k" };
  const together = await Promise.all([ann.say("once", once), bob.say("hung 2")]);
  for (const reply of [...together, await ann.say("hung 3")]) {
    expect(code(reply)).toEqual([503, "store_unavailable"]);
    expect(reply.headers["retry-after"]).toMatch(/^\d+$/);
  }
  expect(code(await ann.ask("healthz"))).toEqual([503, "store_unavailable"]);
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["before"]);
  // Refused at once: many posts are answered while the one call to the disk does not return.
  for (let n = 0; n < 100; n++) expect((await bob.say(`refused ${n}`)).status).toBe(503);
  expect([disk.get("running"), disk.get("mostRunning")]).toEqual([1, 1]);
  expect(server.stderr().trim().split("\n")).toEqual([expect.stringContaining("messages cannot be kept")]);
  disk.heal();
  while ((await ann.ask("healthz")).status !== 200);
  // A refused post can be posted again with its key, and is there once.
  for (let n = 0; n < 2; n++) expect((await ann.say("once", once)).status).toBe(200);
  expect(texts(await held)).toEqual(["once"]);
  expect(server.stderr().trim().split("\n").slice(1)).toEqual([
    expect.stringContaining("messages are kept again"),
  ]);
  await server.stop("SIGKILL");
  await disk.start("--port", `${server.port}`);
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["before", "once"]);
});

test.concurrent("a process whose disk hangs ends after a signal, and its last line says why", async (context) => {
  const { expect } = context;
  const disk = new Disk(context);
  const server = await disk.start();
  const ann = await disk.login(server, "ann");
  disk.set(AN_HOUR);
  const refused = ann.say("hung");
  await disk.untilBusy();
  expect(await server.stop()).toBe("SIGKILL");
  expect(code(await refused)).toEqual([503, "store_unavailable"]);
  expect(server.stderr()).toMatch(/the disk does not answer.*SIGKILL\n$/);
});

test.concurrent("a process whose disk hangs ends at a second signal", async (context) => {
  const disk = new Disk(context);
  const server = await disk.start();
  const ann = await disk.login(server, "ann");
  disk.set(AN_HOUR);
  const cutOff = ann.say("hung").catch(() => undefined);
  await disk.untilBusy();
  void server.stop();
  await server.stop();
  await cutOff;
});

test.concurrent("a process that waits for the disk at its start ends after a signal", async (context) => {
  const disk = new Disk(context);
  disk.set(AN_HOUR);
  const { child, exited } = disk.run();
  await disk.untilBusy();
  child.kill("SIGTERM");
  await exited;
});

test.concurrent("a process that starts on a slow disk ends with status 0 after a signal", async (context) => {
  const { expect } = context;
  const disk = new Disk(context);
  disk.set({ syncMs: 300 });
  const { child, exited, out } = disk.run();
  await disk.untilBusy();
  child.kill("SIGTERM");
  expect(await exited).toBe(0);
  expect(out).toEqual({ stdout: "", stderr: "" });
});

test.concurrent("a process on a slow disk keeps the posts under way after a signal", async (context) => {
  const { expect } = context;
  const disk = new Disk(context);
  const server = await disk.start();
  const ann = await disk.login(server, "ann");
  disk.set({ syncMs: 700 });
  const post = ann.post("slow");
  await disk.untilBusy();
  expect(await server.stop()).toBe(0);
  await post;
  expect(server.stderr()).toBe("");
  disk.heal();
  await disk.start("--port", `${server.port}`);
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["slow"]);
});
