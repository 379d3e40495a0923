/** Presence and notices. Rules for every server are in the kit. */
import { beforeEach, expect, test } from "vitest";
import { type RunningRoom, start, startRoom, until } from "./chat.js";
import { type Batch, login, Person } from "./person.js";

let running: RunningRoom;
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

/** Returns all notices in the backlog. */
const told = async () => notices(await ann.batch("since=0&wait=0"));

/** Makes a person present and waits for the join notice, so that it answers no later poll. */
async function join(person: Person): Promise<void> {
  await person.end();
  while (!(await told()).includes(`${person.name} join`));
}

test("/who lists a user from the first poll or page view on, not from a log-in or a cross-site page view", async () => {
  const cat = await Person.login(running.url, "cat");
  await cat.ask("chatroom/cat/", { headers: { "Sec-Fetch-Site": "cross-site" } });
  expect(await ann.who()).toEqual({ count: 0, users: [] });
  // From this cursor on, Bob's own join notice is new. It must not answer his poll by itself.
  const { id } = await running.chat.post({ user: "host", text: "before" });
  const poll = bob.batch(`since=${id}&wait=60`);
  await until(() => running.chat.waiting === 1);
  expect(await ann.who()).toEqual({ count: 1, users: ["bob"] });
  await cat.ask("chatroom/cat/");
  expect(await ann.who()).toEqual({ count: 2, users: ["bob", "cat"] });
  expect(notices(await poll)).toContain("cat join");
});

test("a log-out ends the polls of its user without a message", async () => {
  for (const person of [ann, bob]) await join(person);
  const poll = bob.batch("since=now&wait=60");
  await until(() => running.chat.waiting === 1);
  await bob.logout();
  expect((await poll).messages).toEqual([]);
  expect(running.chat.waiting).toBe(0);
});

test("a reload or a repeated poll keeps the name and creates no notice", async () => {
  await ann.ask("chatroom/ann/");
  for (let n = 0; n < 3; n++) {
    await ann.batch("since=now&wait=0.001&client=a");
    await ann.leave("a");
    await expect(Person.login(running.url, "ann")).rejects.toThrow("409");
    expect((await ann.ask("chatroom/ann/")).status).toBe(200);
  }
  expect(await told()).toEqual(["ann join"]);
});

test("notices tell of a log-out after the last page was closed, and of the next owner of the name", async () => {
  await join(bob);
  await bob.leave("a");
  await bob.logout();
  await join(await Person.login(running.url, "bob"));
  const expected = ["bob join", "bob leave", "bob join"];
  await expect.poll(async () => (await told()).filter((notice) => /^bob/.test(notice))).toEqual(expected);
});

test("notices tell of a user who comes again after the name was forgotten", async () => {
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
  for await (const { events } of chat.follow({ since: "0" })) {
    all.push(...events.map(({ user, kind }) => `${user} ${kind}`));
    if (all.length >= expected.length) break;
  }
  expect(all).toEqual(expected);
});

test("notices stop above fifty present users, so a thousand joins do not answer each poll a thousand times", async () => {
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
  // No notice makes a new reply for this cursor, and the number in it is right all the same.
  const { cursor } = await first.batch("since=now&wait=0");
  await crowd[0]?.leave();
  expect(await first.batch(`since=${cursor}&wait=0`)).toMatchObject({ present: 1000, messages: [] });
  for (const person of crowd) person.close();
});
