/** The limits of waiters and names: which poll ends, which request is refused, and what is freed. */
import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { chatPerTest, until } from "./chat.js";
import { code, HTML, login, Person, texts } from "./person.js";

const start = chatPerTest();

test("a user over the limit of polls per user gets 503, and other users poll", async () => {
  const { url, chat } = await start({ maxWaitersPerUser: 2 });
  const [ann, bob] = [await Person.login(url, "ann"), await Person.login(url, "bob")];
  for (const person of [ann, bob]) await person.batch("since=now&wait=0");
  const polls = ["a", "b"].map((client) => ann.batch(`since=now&wait=60&client=${client}`));
  await until(() => chat.waiting === 2);
  expect(code(await ann.poll("since=now&wait=60&client=c"))).toEqual([503, "too_many_waiters"]);
  polls.push(bob.batch("since=now&wait=60"));
  await until(() => chat.waiting === 3);
  await bob.post("to three");
  for (const poll of polls) expect(texts(await poll)).toEqual(["to three"]);
});

describe("when all waiter slots are taken", () => {
  test("the user with most polls loses one to a user with fewer, and a user with a fair share gets 503", async () => {
    const { url, chat } = await start({ maxWaiters: 4 });
    const people = await Promise.all(
      ["ann", "bob", "cat", "dan", "eve"].map((name) => Person.login(url, name)),
    );
    const [ann, bob, cat, dan, eve] = people as [Person, Person, Person, Person, Person];
    const held = (person: Person, client: string) => person.batch(`since=now&wait=60&client=${client}`);
    // All users are present before, because a join notice would answer held polls.
    for (const person of people) await person.batch("since=now&wait=0");
    const greedy: ReturnType<typeof held>[] = [];
    for (const [n, client] of ["a", "b", "c", "d"].entries()) {
      greedy.push(held(ann, client));
      await until(() => chat.waiting === n + 1);
    }
    expect(code(await ann.poll("since=now&wait=60&client=e"))).toEqual([503, "too_many_waiters"]);
    const modest = [held(bob, "a")];
    // The oldest poll ends as at a time-out, with a valid cursor.
    expect(await greedy[0]).toMatchObject({ messages: [], cursor: expect.stringMatching(/^\d+-\d+$/) });
    expect(chat.waiting).toBe(4);
    modest.push(held(cat, "a"));
    await greedy[1];
    modest.push(held(dan, "a"));
    await greedy[2];
    expect(code(await eve.poll("since=now&wait=60"))).toEqual([503, "too_many_waiters"]);
    expect(code(await eve.ask("get_post/eve"))).toEqual([503, "too_many_waiters"]);
    await eve.post("to all");
    for (const poll of [...modest, greedy[3]])
      expect((await poll)?.messages.at(-1)).toMatchObject({ text: "to all" });
    await until(() => chat.waiting === 0);
  });

  test("a closed connection with pipelined polls leaves no waiter", async () => {
    const { url, chat, server } = await start();
    const ann = await Person.login(url, "ann");
    const { port } = server.address() as { port: number };
    const poll = `GET /get_post/ann?since=now&wait=60 HTTP/1.1\r\nHost: x\r\nCookie: ${ann.cookie}\r\n\r\n`;
    for (let round = 0; round < 3; round++) {
      const seen = once(server, "request");
      const socket = connect(port);
      socket.on("error", () => {}).write(poll.repeat(10));
      await seen;
      socket.destroy();
      await once(socket, "close");
    }
    expect((await ann.batch("since=now&wait=0")).messages).toEqual([]);
    await until(() => chat.waiting === 0);
  });
});

describe("when all names are taken", () => {
  test("further log-ins are 503 until a name is free, and present users stay", async () => {
    const { url } = await start({ maxNames: 3 });
    const people = await Promise.all(["a", "b", "c"].map((name) => Person.login(url, name)));
    const [a, b] = people as [Person, Person];
    const full = await login(url, "d");
    expect(code(full)).toEqual([503, "too_many_waiters"]);
    expect(Number(full.headers["retry-after"])).toBeGreaterThan(0);
    expect((await login(url, "d", HTML)).headers["retry-after"]).toBe(full.headers["retry-after"]);
    for (const person of people) await person.post("still here");
    await b.ask("logout", { method: "POST" });
    const d = await Person.login(url, "d");
    await d.post("at last");
    expect(texts(await a.batch("since=0&wait=0")).at(-1)).toBe("at last");
    expect((await b.say("a ghost")).status).toBe(401);
  });

  test("expired names make room for new ones, any number of times", async () => {
    const { url } = await start({ maxNames: 5, grace: 1 });
    for (let n = 0; n < 50; n++) {
      const person = await Person.login(url, `n${n}`);
      await person.ask(`leave/n${n}`, { method: "POST" });
      person.close();
    }
  });
});
