/** The whole server on a disk that hangs or is slow. The tests mostly wait, so they run at the same time. */
import { describe, expect, type TestContext, test } from "vitest";
import { code, texts } from "../wire/person.js";
import { Shim } from "./file-servers.js";

const AN_HOUR = { syncMs: 3_600_000 };

/** Starts a server with Ann in its room. */
async function start({ onTestFinished }: TestContext) {
  const disk = new Shim(onTestFinished);
  const server = await disk.start();
  return { disk, server, ann: await disk.login(server, "ann") };
}

describe.concurrent("a process", () => {
  test("answers posts and health checks on a hung disk with 503, and nothing of the posts appears", async (context) => {
    const { disk, server, ann } = await start(context);
    const bob = await disk.login(server, "bob");
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
    expect(server.stderr()).toMatch(/^.*messages cannot be kept.*\n$/);
    disk.heal();
    while ((await ann.ask("healthz")).status !== 200);
    // A refused post can be posted again with its key, and is there once.
    for (let n = 0; n < 2; n++) expect((await ann.say("once", once)).status).toBe(200);
    expect(texts(await held)).toEqual(["once"]);
    expect(server.stderr()).toMatch(/^.*\n.*messages are kept again\n$/);
    await server.stop("SIGKILL");
    await disk.startAgain(server);
    expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["before", "once"]);
  });

  test("whose disk hangs ends after a signal, and its last line says why", async (context) => {
    const { disk, server, ann } = await start(context);
    disk.set(AN_HOUR);
    const refused = ann.say("hung");
    await disk.untilBusy();
    expect(await server.stop()).toBe("SIGKILL");
    expect(code(await refused)).toEqual([503, "store_unavailable"]);
    expect(server.stderr()).toMatch(/the disk does not answer.*SIGKILL\n$/);
  });

  test("whose disk hangs ends at a second signal", async (context) => {
    const { disk, server, ann } = await start(context);
    disk.set(AN_HOUR);
    const cutOff = ann.say("hung").catch(() => undefined);
    await disk.untilBusy();
    void server.stop();
    await server.stop();
    await cutOff;
  });

  test.for([
    ["hangs ends", AN_HOUR, /^(?!0$)/] as const,
    ["is slow ends with status 0", { syncMs: 300 }, /^0$/] as const,
  ])("that starts on a disk that %s after a signal", async ([, faults, status], { onTestFinished }) => {
    const disk = new Shim(onTestFinished);
    disk.set(faults);
    const { child, exited, out } = disk.run();
    await disk.untilBusy();
    child.kill("SIGTERM");
    expect(`${await exited}`).toMatch(status);
    expect(out.stdout).toBe("");
  });

  test("on a slow disk keeps the posts under way after a signal", async (context) => {
    const { disk, server, ann } = await start(context);
    disk.set({ syncMs: 700 });
    const post = ann.post("slow");
    await disk.untilBusy();
    expect(await server.stop()).toBe(0);
    await post;
    expect(server.stderr()).toBe("");
    disk.heal();
    await disk.startAgain(server);
    expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["slow"]);
  });
});
