/** The limits of waiters and names: which poll ends, which request is refused, and what is freed. */
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { chatPerTest, roomPerTest, until } from "./chat.js";
import { code, HTML, login, Person, texts } from "./person.js";
import { dial, get } from "./raw.js";

const [start, startEmpty] = [roomPerTest(), chatPerTest()];
const FULL = [503, "too_many_waiters"];

test("a user over the limit of polls per user gets 503, and other users poll", async () => {
  const { ann, bob, chat } = await start({ maxWaitersPerUser: 2 });
  for (const person of [ann, bob]) await person.end();
  const polls = ["a", "b"].map((client) => ann.batch(`since=now&wait=60&client=${client}`));
  await until(() => chat.waiting === 2);
  expect(code(await ann.poll("since=now&wait=60&client=c"))).toEqual(FULL);
  polls.push(bob.batch("since=now&wait=60"));
  await until(() => chat.waiting === 3);
  await bob.post("to three");
  for (const poll of polls) expect(texts(await poll)).toEqual(["to three"]);
});

test("a poll over the limit is 503, and held, superseding and immediate polls stay", async () => {
  const { ann, chat } = await start({ maxWaiters: 3, grace: 3_600_000 });
  await ann.end();
  const polls = ["a", "b", "c"].map((client) => ann.batch(`since=now&wait=60&client=${client}`));
  await until(() => chat.waiting === 3);
  for (const query of ["since=now&wait=60&client=d", ""]) {
    const reply = await ann.poll(query);
    expect(code(reply)).toEqual(FULL);
    expect(Number(reply.headers["retry-after"])).toBeGreaterThan(0);
  }
  const newer = ann.batch("since=now&wait=60&client=a");
  expect(await polls[0]).toMatchObject({ superseded: true });
  expect(await ann.batch("since=now&wait=0")).toMatchObject({ messages: [] });
  await ann.post("all of you");
  for (const poll of [...polls.slice(1), newer]) expect(texts(await poll)).toEqual(["all of you"]);
});

test("a full room takes polls from the user with most, until every user has a fair share", async () => {
  const { url, ann, bob, chat } = await start({ maxWaiters: 4 });
  const [cat, dan] = [await Person.login(url, "cat"), await Person.login(url, "dan")];
  const eve = await Person.login(url, "eve");
  const held = (person: Person, client: string) => person.batch(`since=now&wait=60&client=${client}`);
  // All users are present before, because a join notice would answer held polls.
  for (const person of [ann, bob, cat, dan, eve]) await person.end();
  const greedy: ReturnType<typeof held>[] = [];
  for (const [n, client] of ["a", "b", "c", "d"].entries()) {
    greedy.push(held(ann, client));
    await until(() => chat.waiting === n + 1);
  }
  expect(code(await ann.poll("since=now&wait=60&client=e"))).toEqual(FULL);
  const modest: ReturnType<typeof held>[] = [];
  for (const [n, person] of [bob, cat, dan].entries()) {
    modest.push(held(person, "a"));
    // The oldest poll ends as at a time-out, with a valid cursor.
    expect(await greedy[n]).toMatchObject({ messages: [], cursor: expect.stringMatching(/^\d+-\d+$/) });
    expect(chat.waiting).toBe(4);
  }
  for (const query of ["since=now&wait=60", ""]) expect(code(await eve.poll(query))).toEqual(FULL);
  await eve.post("to all");
  for (const poll of [...modest, greedy[3]])
    expect((await poll)?.messages.at(-1)).toMatchObject({ text: "to all" });
  await until(() => chat.waiting === 0);
});

test("a closed connection with pipelined polls leaves no waiter", async () => {
  const { ann, chat, server, port } = await start();
  for (let round = 0; round < 3; round++) {
    const seen = once(server, "request");
    const poll = get("/get_post/ann?since=now&wait=60", `Cookie: ${ann.cookie}`);
    const { socket, closed } = dial(port, poll.repeat(10));
    await seen;
    socket.destroy();
    await closed;
  }
  expect((await ann.batch("since=now&wait=0")).messages).toEqual([]);
  await until(() => chat.waiting === 0);
});

describe("when all names are taken", () => {
  test("further log-ins are 503 until a name is free, and present users stay", async () => {
    const { url } = await startEmpty({ maxNames: 3 });
    const people = await Promise.all(["a", "b", "c"].map((name) => Person.login(url, name)));
    const [a, b] = people as [Person, Person];
    const full = await login(url, "d");
    expect(code(full)).toEqual(FULL);
    expect(Number(full.headers["retry-after"])).toBeGreaterThan(0);
    expect((await login(url, "d", HTML)).headers["retry-after"]).toBe(full.headers["retry-after"]);
    for (const person of people) await person.post("still here");
    await b.logout();
    await (await Person.login(url, "d")).post("at last");
    expect(texts(await a.batch("since=0&wait=0")).at(-1)).toBe("at last");
    expect((await b.say("a ghost")).status).toBe(401);
  });

  test("expired names make room for new ones, any number of times", async () => {
    const { url } = await startEmpty({ maxNames: 5, grace: 1 });
    for (let n = 0; n < 50; n++) {
      const person = await Person.login(url, `n${n}`);
      await person.leave();
      person.close();
    }
  });
});
