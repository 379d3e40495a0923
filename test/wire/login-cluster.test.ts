/** Log-in forms and idempotency keys on several processes, which share secrets and owners in Redis. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { RedisStore } from "../../src/index.js";
import { chatPerTest, type Running } from "./chat.js";
import { keyOf, loginKey, submit } from "./forms.js";
import { code, HTML, login, Person, sessionIn, texts } from "./person.js";
import { type Redis, startRedis } from "./redis.js";

let redis: Redis;
beforeAll(async () => {
  redis = await startRedis("--appendonly", "no");
});
afterAll(() => redis.stop());

const startChat = chatPerTest();
let room = 0;

/** Starts two chats of one room, as two processes. */
async function start(): Promise<[Running, Running]> {
  const url = `${redis.url}?prefix=room${room++}`;
  const warn = (line: string) => expect(line).toBe("no warning");
  const one = () => startChat({ store: new RedisStore({ url, warn }) });
  return [await one(), await one()];
}

/** Waits until every process knows that a session has ended. */
async function untilEnded(person: Person, chats: readonly Running[]): Promise<void> {
  for (const chat of chats) while ((await person.at(chat).status()) !== 401);
}

/** Checks that a session is valid on every process. */
async function expectValid(person: Person, chats: readonly Running[]): Promise<void> {
  for (const chat of chats) expect(await person.at(chat).status()).toBe(200);
}

test("a form that is sent to two processes at once is one log-in, valid on both", async () => {
  const chats = await start();
  const [one, two] = chats;
  for (let n = 0; n < 20; n++) {
    const key = await loginKey(one.url);
    const replies = await Promise.all([submit(one.url, "ann", key), submit(two.url, "ann", key)]);
    expect(replies.map((reply) => reply.status)).toEqual([303, 303]);
    const people = replies.map((reply) => Person.of(two.url, "ann", reply)) as [Person, Person];
    expect(new Set(people.map(({ cookie }) => sessionIn(cookie))).size).toBe(1);
    for (const person of people) await expectValid(person, chats);
    // Somebody else, with another form or without one.
    expect(code(await submit(two.url, "ann", await loginKey(two.url)))).toEqual([409, "name_taken"]);
    expect(code(await login(one.url, "ann"))).toEqual([409, "name_taken"]);
    await people[0].logout();
    await untilEnded(people[0], chats);
  }
});

test("a form that is sent again after a log-out on another process does not revive the session", async () => {
  const chats = await start();
  const [one, two] = chats;
  const key = await loginKey(one.url);
  const first = Person.of(two.url, "ann", await submit(one.url, "ann", key));
  await first.logout();
  // At once: this process may not know of it yet.
  const second = Person.of(one.url, "ann", await submit(one.url, "ann", key));
  expect(sessionIn(second.cookie)).not.toBe(sessionIn(first.cookie));
  await untilEnded(first, chats);
  await expectValid(second, chats);
});

test("a new log-in on another process ends the older session on all of them", async () => {
  const chats = await start();
  const [one, two] = chats;
  const planted = await Person.login(one.url, "ann");
  const own = Person.of(two.url, "ann", await login(two.url, "ann", { Cookie: planted.cookie }));
  await untilEnded(planted, chats);
  await expectValid(own, chats);
  expect(code(await login(one.url, "ann", { Cookie: planted.cookie }))).toEqual([409, "name_taken"]);
});

test("a key belongs to the session on every process, with one text, and not to a later owner of the name", async () => {
  const [one, two] = await start();
  const eve = await Person.login(one.url, "ann");
  const key = { "Idempotency-Key": "k" };
  const first = await eve.post("one", key);
  expect(await eve.at(two).post("one", key)).toBe(first);
  expect(code(await eve.at(two).say("two", key))).toEqual([422, "key_reused"]);
  await eve.logout();
  const ann = await Person.login(two.url, "ann");
  expect(await ann.post("one", key)).not.toBe(first);
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["one", "one"]);
});

test("a page's form that is sent to two processes at once posts once", async () => {
  const chats = await start();
  const ann = await Person.login(chats[0].url, "ann");
  const key = keyOf((await ann.ask("chatroom/ann/")).body);
  const body = new URLSearchParams({ key, message: "once" }).toString();
  const replies = await Promise.all(chats.map((chat) => ann.at(chat).send("put_post/ann", body, HTML)));
  expect(replies.map((reply) => reply.status)).toEqual([303, 303]);
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["once"]);
});
