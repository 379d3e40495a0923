/** Log-in forms and idempotency keys on several processes, which share secrets and owners in Redis. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type ChatOptions, RedisStore } from "../../src/index.js";
import { type Running, startChat } from "./chat.js";
import { cookieOf, idOf, keyOf, loginKey, submit } from "./forms.js";
import { ask, code, FORM, HTML, login, Person, type Reply, texts } from "./person.js";
import { type Redis, startRedis } from "./redis.js";

let redis: Redis;
let room = 0;
let chats: Running[];
beforeAll(async () => {
  redis = await startRedis("--appendonly", "no");
});
beforeEach(() => {
  room++;
  chats = [];
});
afterEach(async () => {
  for (const { close, log } of chats) {
    await close();
    expect(log).toEqual([]);
  }
});
afterAll(() => redis.stop());

/** Starts two chats of one room, as two processes. */
async function start(options: ChatOptions = {}): Promise<[Running, Running]> {
  const one = async () => {
    const warn = (line: string) => expect(line).toBe("no warning");
    const chat = await startChat({
      ...options,
      store: new RedisStore({ url: redis.url, keep: 100, prefix: `room${room}`, warn }),
    });
    chats.push(chat);
    return chat;
  };
  return [await one(), await one()];
}

const status = async ({ url }: Running, Cookie: string) =>
  (await ask(`${url}/get_post/ann?since=now&wait=0`, { headers: { Cookie } })).status;
/** Waits until a process knows that a session has ended. */
async function untilEnded(chat: Running, cookie: string): Promise<void> {
  while ((await status(chat, cookie)) !== 401);
}

test("a form that is sent to two processes at once is one log-in, valid on both", async () => {
  const [one, two] = await start();
  for (let n = 0; n < 20; n++) {
    const key = await loginKey(one.url);
    const replies = await Promise.all([submit(one.url, "ann", key), submit(two.url, "ann", key)]);
    expect(replies.map((reply) => reply.status)).toEqual([303, 303]);
    expect(new Set(replies.map((reply) => idOf(cookieOf(reply)))).size).toBe(1);
    for (const reply of replies) {
      for (const chat of [one, two]) expect(await status(chat, cookieOf(reply))).toBe(200);
    }
    // Somebody else, with another form or without one.
    expect(code(await submit(two.url, "ann", await loginKey(two.url)))).toEqual([409, "name_taken"]);
    expect(code(await login(one.url, "ann"))).toEqual([409, "name_taken"]);
    const [first] = replies as [Reply, Reply];
    await ask(`${two.url}/logout`, { method: "POST", headers: { Cookie: cookieOf(first) } });
    await untilEnded(one, cookieOf(first));
  }
});

test("a form that is sent again after a log-out on another process does not revive the session", async () => {
  const [one, two] = await start();
  const key = await loginKey(one.url);
  const first = await submit(one.url, "ann", key);
  await ask(`${two.url}/logout`, { method: "POST", headers: { Cookie: cookieOf(first) } });
  // At once: this process may not know of it yet.
  const second = await submit(one.url, "ann", key);
  expect(second.status).toBe(303);
  expect(idOf(cookieOf(second))).not.toBe(idOf(cookieOf(first)));
  for (const chat of [one, two]) {
    await untilEnded(chat, cookieOf(first));
    expect(await status(chat, cookieOf(second))).toBe(200);
  }
});

test("a new log-in on another process ends the older session on all of them", async () => {
  const [one, two] = await start();
  const planted = cookieOf(await login(one.url, "ann"));
  const own = await login(two.url, "ann", { Cookie: planted });
  expect(own.status).toBe(303);
  for (const chat of [one, two]) {
    await untilEnded(chat, planted);
    expect(await status(chat, cookieOf(own))).toBe(200);
  }
  expect(code(await login(one.url, "ann", { Cookie: planted }))).toEqual([409, "name_taken"]);
});

test("a key belongs to the session on every process, with one text, and not to a later owner of the name", async () => {
  const [one, two] = await start();
  const eve = await Person.login(one.url, "ann");
  const key = { "Idempotency-Key": "k" };
  const first = await eve.post("one", key);
  expect(await eve.at(two).post("one", key)).toBe(first);
  expect(code(await eve.at(two).say("two", key))).toEqual([422, "key_reused"]);
  await eve.ask("logout", { method: "POST" });
  const ann = await Person.login(two.url, "ann");
  expect(await ann.post("one", key)).not.toBe(first);
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["one", "one"]);
});

test("a page's form that is sent to two processes at once posts once", async () => {
  const [one, two] = await start();
  const ann = await Person.login(one.url, "ann");
  const key = keyOf((await ann.ask("chatroom/ann/")).body);
  const body = new URLSearchParams({ key, message: "once" }).toString();
  const send = (chat: Running) =>
    ann.at(chat).ask("put_post/ann", { method: "POST", headers: { ...FORM, ...HTML }, body });
  const replies = await Promise.all([send(one), send(two)]);
  expect(replies.map((reply) => reply.status)).toEqual([303, 303]);
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["once"]);
});
