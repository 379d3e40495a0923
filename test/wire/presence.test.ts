/** Presence and notices. Rules for every server are in the kit. */
import { beforeEach, describe, expect, test } from "vitest";
import { chatPerTest, roomPerTest, until } from "./chat.js";
import { type Batch, login, Person, texts } from "./person.js";

const [start, startRoom] = [chatPerTest(), roomPerTest()];
let running: Awaited<ReturnType<typeof startRoom>>;
let ann: Person;
let bob: Person;
beforeEach(async () => {
  // Longer than a slow machine takes. Tests about absence set their own.
  running = await startRoom({ grace: 3_600_000 });
  ({ ann, bob } = running);
});

function notices({ messages }: Batch): string[] {
  return messages.flatMap(({ kind, user }) => (kind ? [`${user} ${kind}`] : []));
}

/** Makes a person present and waits for the join notice, so that it answers no later poll. */
async function join(person: Person): Promise<void> {
  await person.end();
  while (!(await told()).includes(`${person.name} join`));
}

/** Returns all notices in the backlog. */
async function told(): Promise<string[]> {
  return notices(await ann.batch("since=0&wait=0"));
}

describe("/who", () => {
  test("lists a user from the first poll or page view on, not from the log-in", async () => {
    const cat = await Person.login(running.url, "cat");
    expect(await ann.who()).toEqual({ count: 0, users: [] });
    // From this cursor on, Bob's own join notice is new, and it must not answer his poll.
    const { id } = await running.chat.post({ user: "host", text: "before" });
    const poll = bob.batch(`since=${id}&wait=60`);
    await until(() => running.chat.waiting === 1);
    expect(await ann.who()).toEqual({ count: 1, users: ["bob"] });
    await cat.ask("chatroom/cat/");
    expect(await ann.who()).toEqual({ count: 2, users: ["bob", "cat"] });
    expect(notices(await poll)).toEqual(["cat join"]);
  });

  test("lists a polling user for any time, and drops an absent one after the grace time with a notice", async () => {
    const { ann, bob, chat } = await startRoom({ grace: 50 });
    const held = ann.batch("since=now&wait=60");
    await until(() => chat.waiting === 1);
    await bob.end();
    let batch = await held;
    expect(notices(batch)).toContain("bob join");
    while (!notices(batch).includes("bob leave")) batch = await ann.batch(`since=${batch.cursor}&wait=60`);
    // Ann is present because of her poll.
    expect(batch.present).toBe(1);
  });
});

test("a log-out ends the polls of its user without a message", async () => {
  for (const person of [ann, bob]) await join(person);
  const poll = bob.batch("since=now&wait=60");
  await until(() => running.chat.waiting === 1);
  await bob.logout();
  expect((await poll).messages).toEqual([]);
});

test("a name stays taken while its owner reloads the page", async () => {
  await bob.ask("chatroom/bob/");
  await bob.leave("a");
  await expect(Person.login(running.url, "bob")).rejects.toThrow("409");
  expect((await bob.ask("chatroom/bob/")).status).toBe(200);
});

describe("notices", () => {
  test("are not created by a reload or a repeated poll", async () => {
    await ann.ask("chatroom/ann/");
    for (let n = 0; n < 3; n++) {
      await ann.batch("since=now&wait=0.001&client=a");
      await ann.leave("a");
      await ann.ask("chatroom/ann/");
    }
    expect(await told()).toEqual(["ann join"]);
  });

  test("tell of a user who logs out after the last page was closed, and of the next owner of the name", async () => {
    await join(bob);
    await bob.leave("a");
    await bob.logout();
    await join(await Person.login(running.url, "bob"));
    const expected = ["bob join", "bob leave", "bob join"];
    await expect
      .poll(async () => (await told()).filter((notice) => notice.startsWith("bob")))
      .toEqual(expected);
  });

  test("tell of a user who comes again after the name was forgotten", async () => {
    const { url, chat } = await start({ maxNames: 1, grace: 20 });
    const expected: string[] = [];
    for (const name of ["bob", "cat", "bob"]) {
      let reply = await login(url, name);
      while (reply.status !== 303) reply = await login(url, name);
      await Person.of(url, name, reply).end();
      expected.push(`${name} join`, `${name} leave`);
      await until(() => chat.present.length === 0);
    }
    const all: string[] = [];
    for await (const { messages } of chat.follow({ since: "0" })) {
      all.push(...messages.map(({ user, kind }) => `${user} ${kind}`));
      if (all.length >= expected.length) break;
    }
    expect(all).toEqual(expected);
  });

  test("do not answer the poll of the user who joins", async () => {
    const joined = running.chat.follow({ since: "now" }).next();
    const poll = ann.batch("since=now&wait=60");
    // Otherwise both may be in one batch.
    await joined;
    await bob.post("hello");
    const batch = await poll;
    expect([texts(batch), notices(batch)]).toEqual([["hello"], []]);
  });

  test("stop above fifty present users, so a thousand joins do not answer each poll a thousand times", async () => {
    const first = await Person.login(running.url, "first");
    const crowd: Person[] = [];
    // In portions, because the system queues about 500 new connections.
    while (crowd.length < 1000) {
      const names = Array.from({ length: 100 }, (_, n) => `p${crowd.length + n}`);
      crowd.push(...(await Promise.all(names.map((name) => Person.login(running.url, name)))));
    }
    let wakes = 0;
    const watch = (async () => {
      for (let batch = await first.batch("since=now&wait=0"); batch.present < 1001; ) {
        batch = await first.batch(`since=${batch.cursor}&wait=1`);
        if (batch.messages.length > 0) wakes++;
      }
    })();
    await Promise.all(crowd.map((person) => person.end()));
    await watch;
    expect(notices(await first.batch("since=0&wait=0"))).toHaveLength(50);
    expect(wakes).toBeLessThanOrEqual(52);
    expect(await first.who()).toMatchObject({ count: 1001, users: { length: 1000 } });
    for (const person of crowd) person.close();
  });
});
