import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Running, startChat, until } from "./chat.js";
import { type Batch, Person, texts } from "./person.js";

let running: Running;
let ann: Person;
beforeEach(async () => {
  // Long enough for a slow machine. Tests about absence set their own.
  running = await startChat({ grace: 3_600_000 });
  ann = await Person.login(running.url, "ann");
});
afterEach(async () => {
  await running.close();
  expect(running.log).toEqual([]);
});

async function who(): Promise<{ count: number; users: string[] }> {
  return JSON.parse((await ann.ask("who")).body) as { count: number; users: string[] };
}

/** Asks repeatedly until a condition is true. A test whose condition stays false reaches its time limit. */
async function untilHere(...users: string[]): Promise<void> {
  while (JSON.stringify((await who()).users) !== JSON.stringify(users));
}

function notices(batch: Batch): string[] {
  return batch.messages.flatMap(({ kind, user }) => (kind ? [`${user} ${kind}`] : []));
}

/** Returns all notices in the backlog. */
async function told(): Promise<string[]> {
  return notices(await ann.batch("since=0&wait=0"));
}

describe("/who", () => {
  test("lists a user from the first poll or page view on, not from the log-in, in order", async () => {
    const bob = await Person.login(running.url, "bob");
    expect(await who()).toEqual({ count: 0, users: [] });
    void bob.poll("since=now&wait=60").catch(() => undefined);
    await untilHere("bob");
    void ann.poll("since=now&wait=60").catch(() => undefined);
    await untilHere("ann", "bob");
    const cat = await Person.login(running.url, "cat");
    await cat.ask("chatroom/cat/");
    expect(await who()).toEqual({ count: 3, users: ["ann", "bob", "cat"] });
  });

  test("lists a polling user for any time, and drops an absent one after the grace time with a notice", async () => {
    const brief = await startChat({ grace: 50 });
    const [cat, bob] = [await Person.login(brief.url, "cat"), await Person.login(brief.url, "bob")];
    const held = cat.batch("since=now&wait=60");
    await until(() => brief.chat.waiting === 1);
    await bob.batch("since=now&wait=0");
    let batch = await held;
    expect(notices(batch)).toContain("bob join");
    while (!notices(batch).includes("bob leave")) batch = await cat.batch(`since=${batch.cursor}&wait=60`);
    // Cat is present because of her poll.
    expect(batch.present).toBe(1);
    await brief.close();
    expect(brief.log).toEqual([]);
  });

  test("drops a user at once after /leave, unless another page of the user polls", async () => {
    const polls = ["a", "b"].map((client) => ann.batch(`since=now&wait=60&client=${client}`));
    await until(() => running.chat.waiting === 2);
    expect((await ann.ask("leave/ann?client=a", { method: "POST" })).status).toBe(204);
    // The reply may have her own join notice.
    expect((await polls[0])?.messages.filter(({ user }) => user !== "ann")).toEqual([]);
    expect((await who()).users).toEqual(["ann"]);
    expect((await ann.ask("leave/ann?client=b", { method: "POST" })).status).toBe(204);
    expect((await polls[1])?.messages.filter(({ user }) => user !== "ann")).toEqual([]);
    expect((await who()).users).toEqual([]);
  });

  test("drops a user at once after a log-out, which ends the polls and frees the name", async () => {
    const bob = await Person.login(running.url, "bob");
    const poll = bob.batch("since=now&wait=60");
    await until(() => running.chat.waiting === 1);
    await bob.ask("logout", { method: "POST" });
    expect((await poll).messages.filter(({ user }) => user !== "bob")).toEqual([]);
    expect((await who()).users).toEqual([]);
    await Person.login(running.url, "bob");
    const ofBob = async () => (await told()).filter((notice) => notice.startsWith("bob"));
    while ((await ofBob()).length < 2);
    expect(await ofBob()).toEqual(["bob join", "bob leave"]);
  });
});

test("a name stays taken while its owner reloads the page", async () => {
  const bob = await Person.login(running.url, "bob");
  await bob.ask("chatroom/bob/");
  await bob.ask("leave/bob?client=a", { method: "POST" });
  await expect(Person.login(running.url, "bob")).rejects.toThrow("409");
  expect((await bob.ask("chatroom/bob/")).status).toBe(200);
});

describe("notices", () => {
  test("are not created by a reload or a repeated poll", async () => {
    await ann.ask("chatroom/ann/");
    for (let n = 0; n < 3; n++) {
      await ann.batch("since=now&wait=0.001&client=a");
      await ann.ask("leave/ann?client=a", { method: "POST" });
      await ann.ask("chatroom/ann/");
    }
    expect(await told()).toEqual(["ann join"]);
  });

  test("do not answer the poll of the user who joins", async () => {
    const poll = ann.batch("since=now&wait=60");
    await until(() => running.chat.waiting === 1);
    const bob = await Person.login(running.url, "bob");
    await bob.post("hello");
    const batch = await poll;
    expect(texts(batch)).toEqual(["hello"]);
    expect(notices(batch)).toEqual([]);
  });

  test("stop above fifty present users, so a thousand joins do not answer each poll a thousand times", async () => {
    const wide = await startChat({ grace: 3_600_000 });
    const first = await Person.login(wide.url, "first");
    await first.batch("since=now&wait=0");
    const crowd = await Promise.all(Array.from({ length: 1000 }, (_, n) => Person.login(wide.url, `p${n}`)));
    let wakes = 0;
    let present = 1;
    const watch = (async () => {
      for (let { cursor } = await first.batch("since=now&wait=0"); present < 1001; ) {
        const batch = await first.batch(`since=${cursor}&wait=1`);
        cursor = batch.cursor;
        present = batch.present;
        wakes++;
      }
    })();
    await Promise.all(crowd.map((person) => person.batch("since=now&wait=0")));
    await watch;
    const told = notices(await first.batch("since=0&wait=0"));
    expect(told).toHaveLength(50);
    expect(wakes).toBeLessThanOrEqual(52);
    expect(JSON.parse((await first.ask("who")).body)).toMatchObject({ count: 1001, users: { length: 1000 } });
    for (const person of crowd) person.close();
    await wide.close();
  });
});
