/** Several processes with one room: names, presence and messages are the same on each of them. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createClient } from "redis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ChatOptions } from "../../src/index.js";
import { RedisStore } from "../../src/index.js";
import { chatPerTest, type Running, until } from "./chat.js";
import { keyOf, loginKey, submit } from "./forms.js";
import { ask, type Batch, code, HTML, login, Person, sessionIn, texts } from "./person.js";
import { type Redis, startRedis } from "./redis.js";
import { run, type Server, startServer } from "./server.js";

const SHORT_GRACE = fileURLToPath(new URL("short-grace.mjs", import.meta.url));

let redis: Redis;
beforeAll(async () => {
  redis = await startRedis("--appendonly", "no");
});
afterAll(() => redis.stop());

let room = 0;
beforeEach(() => {
  room++;
});

const startChat = chatPerTest();
const noWarning = (line: string) => expect(line).toBe("no warning");

/** Starts chats of one room, as so many processes. */
async function start(count = 2, options: ChatOptions = {}, warn = noWarning): Promise<[Running, Running]> {
  const one = () => {
    const store = new RedisStore({ url: `${redis.url}?prefix=room${room}`, warn });
    return startChat({ ...options, store });
  };
  const chats: Running[] = [];
  while (chats.length < count) chats.push(await one());
  return chats as [Running, Running];
}

const who = async (person: Person) =>
  (JSON.parse((await person.ask("who")).body) as { users: string[] }).users;
const untilHere = async (person: Person, ...users: string[]) => {
  while ((await who(person)).join() !== users.join());
};
const notices = (batch: Batch) =>
  batch.messages.flatMap(({ kind, user }) => (kind ? [`${user} ${kind}`] : []));

describe("a name", () => {
  test("that two log-ins on two processes race for goes to one of them", async () => {
    const [one, two] = await start(2);
    for (let n = 0; n < 50; n++) {
      const name = `ann${n}`;
      const replies = await Promise.all([login(one.url, name), login(two.url, name.toUpperCase())]);
      expect(replies.map(({ status }) => status).toSorted()).toEqual([303, 409]);
    }
  });

  test("is valid on every process with the cookie of one, and a log-out ends it on all of them", async () => {
    const [one, two] = await start(2);
    const ann = await Person.login(one.url, "ann");
    expect((await ann.at(two).poll("since=now&wait=0")).status).toBe(200);
    await ann.at(two).ask("logout", { method: "POST" });
    while ((await ann.poll("since=now&wait=0")).status !== 401);
    expect((await ann.at(two).poll("since=now&wait=0")).status).toBe(401);
    const [three] = await start(1);
    expect((await ann.at(three).poll("since=now&wait=0")).status).toBe(401);
  });

  test("that somebody else has taken since is refused to an older cookie on every process", async () => {
    const [one, two] = await start(2, { grace: 60_000 });
    const older = await Person.login(one.url, "ann");
    expect(code(await login(two.url, "ann"))).toEqual([409, "name_taken"]);
    await older.ask("leave/ann", { method: "POST" });
    const newer = await Person.login(two.url, "ann");
    while ((await older.poll("since=now&wait=0")).status !== 401);
    expect((await newer.at(one).poll("since=now&wait=0")).status).toBe(200);
    const [three] = await start(1);
    expect((await older.at(three).poll("since=now&wait=0")).status).toBe(401);
    expect((await newer.at(three).poll("since=now&wait=0")).status).toBe(200);
  });

  test("is taken while its owner has a poll held on any process, also after the grace time", async () => {
    const [one, two] = await start(2, { grace: 200 });
    const ann = await Person.login(one.url, "ann");
    let isOver = false;
    // Notices do not end a plain poll, so one is held all the time.
    const polling = (async () => {
      while (!isOver) await ann.plain();
    })();
    await until(() => one.chat.waiting === 1);
    const dan = await Person.login(two.url, "dan");
    await dan.batch("since=now&wait=0");
    // Dan joined later and is absent by now, so the grace time is over.
    await untilHere(ann.at(two), "ann", "dan");
    await untilHere(ann.at(two), "ann");
    await until(() => one.chat.waiting === 1);
    await expect(Person.login(two.url, "ANN")).rejects.toThrow("409");
    isOver = true;
    await dan.post("enough");
    await polling;
  });

  test("is refused with 503 while as many names are held as are remembered, until one is free", async () => {
    const [one, two] = await start(2, { maxNames: 2, grace: 3_600_000 });
    await Person.login(one.url, "ann");
    const bob = await Person.login(two.url, "bob");
    expect((await login(two.url, "cyd")).status).toBe(503);
    await bob.ask("leave/bob", { method: "POST" });
    expect((await login(one.url, "cyd")).status).toBe(303);
  });
});

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

test("a Redis that lost its data gets the owners of the names again", async () => {
  const direct = createClient({ url: redis.url });
  await direct.connect();
  const [one, two] = await start(2, {}, () => {});
  const ann = await Person.login(one.url, "ann");
  const poll = ann.poll("since=now&wait=60&client=a");
  await until(() => one.chat.waiting === 1);
  await direct.flushAll();
  await direct.sendCommand(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
  // The process renews its leases first.
  while ((await direct.hGet(`room${room}:owners`, "ann")) === null);
  let status = 503;
  while (status === 503) ({ status } = await login(two.url, "ann"));
  expect(status).toBe(409);
  await ann.ask("logout", { method: "POST" });
  await poll;
  direct.destroy();
});

describe("presence", () => {
  test("is announced once, and is the same on every process, wherever the members poll", async () => {
    const [one, two] = await start(2, { grace: 5_000 });
    const ann = await Person.login(one.url, "ann");
    const bob = await Person.login(two.url, "bob");
    for (let n = 0; n < 20; n++) {
      for (const chat of [one, two]) {
        await ann.at(chat).batch("since=now&wait=0.02&client=a");
        await bob.at(chat).batch("since=now&wait=0.02&client=b");
      }
    }
    await untilHere(ann.at(two), "ann", "bob");
    expect(notices(await ann.batch("since=0&wait=0")).toSorted()).toEqual(["ann join", "bob join"]);
    // Bob polls no more, and Ann does.
    for (let cursor = "0", gone = false; !gone; ) {
      const batch = await ann.at(Math.random() < 0.5 ? one : two).batch(`since=${cursor}&wait=1&client=a`);
      cursor = batch.cursor;
      gone = notices(batch).includes("bob leave");
    }
    await untilHere(ann, "ann");
    await untilHere(ann.at(two), "ann");
    const all = `since=0&wait=0`;
    while (notices(await ann.batch(all)).length < 3);
    expect(notices(await ann.batch(all)).toSorted()).toEqual(["ann join", "bob join", "bob leave"]);
  });

  test("ends when the page is closed on another process, and a page that is loaded again writes no notice", async () => {
    const [one, two] = await start(2);
    const ann = await Person.login(one.url, "ann");
    const bob = await Person.login(one.url, "bob");
    await bob.batch("since=now&wait=0");
    while (notices(await bob.batch("since=0&wait=0")).length === 0);
    const poll = ann.batch("since=now&wait=60&client=a");
    await untilHere(bob.at(two), "ann", "bob");
    await ann.at(two).ask("leave/ann?client=a", { method: "POST" });
    expect(await poll).toMatchObject({ messages: [] });
    await untilHere(bob, "bob");
    // Ann is back with another page on another process.
    await ann.batch("since=now&wait=0&client=b");
    await untilHere(bob.at(two), "ann", "bob");
    // The notice of a page that is closed later is written later.
    const cat = await Person.login(one.url, "cat");
    await cat.batch("since=now&wait=0");
    await cat.ask("leave/cat?client=c", { method: "POST" });
    const all = async () => notices(await bob.batch("since=0&wait=0"));
    while (!(await all()).includes("cat leave"));
    expect((await all()).toSorted()).toEqual(["ann join", "bob join", "cat join", "cat leave"]);
  });

  test("goes on while a page is open on another process", async () => {
    const [one, two] = await start(2);
    const ann = await Person.login(one.url, "ann");
    void ann.poll("since=now&wait=60&client=a").catch(() => undefined);
    await until(() => one.chat.waiting === 1);
    await ann.at(two).ask("leave/ann?client=b", { method: "POST" });
    await untilHere(ann.at(two), "ann");
    await untilHere(ann, "ann");
    expect(one.chat.waiting).toBe(1);
  });
});

test("a cursor of one process means the same on another, also on one that is behind", async () => {
  const [one, two] = await start(2);
  const ann = await Person.login(one.url, "ann");
  for (let n = 0; n < 200; n++) {
    const id = await ann.post(`${n}`);
    const batch = await ann.at(two).batch(`since=${id}&wait=0`);
    expect(batch.gap).toBeUndefined();
    expect(batch.messages).toEqual([]);
    expect(batch.cursor).toBe(id);
  }
  const future = `${Date.now() + 3_600_000}-0`;
  expect(await ann.batch(`since=${future}&wait=0`)).toMatchObject({ gap: true });
});

test("polls without a cursor continue where they were on any process", async () => {
  const [one, two] = await start(2);
  const ann = await Person.login(one.url, "ann");
  const bob = await Person.login(two.url, "bob");
  // The first poll goes to another process than the log-in.
  for (let n = 0; n < 50; n++) {
    await ann.post(`${n}`);
    expect(await bob.at(n % 3 === 0 ? one : two).plain()).toBe(`${n}`);
  }
});

test("a poll without a cursor starts at the log-in on another process, also for a caller without a cookie", async () => {
  const [one, two] = await start(2);
  const ann = await Person.login(one.url, "ann");
  await ann.post("before");
  const bob = await Person.login(one.url, "bob");
  const cat = await Person.login(one.url, "cat");
  await ann.post("after");
  expect(await bob.at(two).plain()).toBe("after");
  expect(await cat.at(two).plainWith()).toBe("after");
});

test("a poll without a cursor whose connection is reset is answered again by another process", async () => {
  const [one, two] = await start(2);
  const ann = await Person.login(one.url, "ann");
  const bob = await Person.login(two.url, "bob");
  const connections: Socket[] = [];
  one.server.on("connection", (connection) => connections.push(connection));
  // The answer is never read, so it is not known to be lost until the reset.
  const client = connect(Number(new URL(one.url).port), "127.0.0.1").pause();
  client.write(`GET /get_post/bob HTTP/1.1\r\nHost: h\r\nCookie: ${bob.cookies}\r\n\r\n`);
  await until(() => one.chat.waiting === 1);
  await ann.post("important");
  await until(() => one.chat.waiting === 0);
  client.resetAndDestroy();
  await until(() => connections.some(({ errored, closed }) => errored && closed));
  expect(await bob.at(two).plain()).toBe("important");
});

describe("a process", () => {
  const servers: Server[] = [];
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.stop("SIGKILL")));
  });

  test("that is killed frees its names, and their members leave", async () => {
    const url = `${redis.url}?prefix=room${room}`;
    const [chat] = await start(1, { grace: 1_000 });
    const killed = spawn(process.execPath, [SHORT_GRACE, url, "1000"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line]: string[] = await once(killed.stdout.setEncoding("utf8"), "data");
    const ann = await Person.login(line?.trim() ?? "", "ann");
    const bob = await Person.login(chat.url, "bob");
    ann.poll("since=now&wait=60").catch(() => undefined);
    await untilHere(bob, "ann");
    killed.kill("SIGKILL");
    await once(killed, "exit");
    await expect(Person.login(chat.url, "ann")).rejects.toThrow("409");
    while (!notices(await bob.batch("since=0&wait=0")).includes("ann leave"));
    // The lease of the name and the heartbeat of its process end by themselves, each at its own time.
    while ((await login(chat.url, "ann")).status !== 303);
  });

  test("without Redis holds polls, refuses posts and log-ins, and reports 503", async () => {
    const own = await startRedis("--requirepass", "hunter2");
    const server = await startServer("--redis", `redis://:hunter2@127.0.0.1:${own.port}`);
    servers.push(server);
    const ann = await Person.login(server.url, "ann");
    const poll = ann.batch("since=now&wait=60");
    await untilHere(ann, "ann");
    await own.kill();
    while ((await ask(`${server.url}/healthz`)).status !== 503);
    const post = await ann.say("lost");
    expect(code(post)).toEqual([503, "store_unavailable"]);
    expect(post.headers["retry-after"]).toBe("5");
    expect(code(await login(server.url, "bob"))).toEqual([503, "store_unavailable"]);
    await own.start();
    while ((await ask(`${server.url}/healthz`)).status !== 200);
    await ann.post("kept");
    expect(texts(await poll)).toEqual(["kept"]);
    expect(server.stderr().trim().split("\n")).toHaveLength(2);
    expect(server.stderr()).not.toContain("hunter2");
    expect(await server.stop()).toBe(0);
    await own.stop();
  });

  test.each([
    [
      "nobody listens",
      "redis://:hunter2@127.0.0.1:1",
      1,
      /Redis at 127\.0\.0\.1:1: connect ECONNREFUSED.*; start it/,
    ],
    [
      "the password is wrong",
      "redis://:hunter2@127.0.0.1:PORT",
      1,
      /WRONGPASS.*; start it, or correct the URL/,
    ],
    ["the URL is not a Redis URL", "http://:hunter2@127.0.0.1", 2, /--redis: the URL of a Redis is /],
  ])(
    "that cannot start because %s reports it in one line without the password",
    async (_, url, status, words) => {
      const own = await startRedis("--requirepass", "another");
      const { exited, out } = run("--port", "0", "--redis", url.replace("PORT", `${own.port}`));
      expect(await exited).toBe(status);
      expect(out.stdout).toBe("");
      expect(out.stderr).toMatch(/^holdline: [^\n]*\n$/);
      expect(out.stderr).toMatch(words);
      expect(out.stderr).not.toContain("hunter2");
      await own.stop();
    },
  );

  test("without Redis' client reports how to install it", async () => {
    const folder = await mkdtemp(join(tmpdir(), "holdline-"));
    for (const part of ["dist", "static", "package.json"]) {
      await cp(fileURLToPath(new URL(`../../${part}`, import.meta.url)), join(folder, part), {
        recursive: true,
      });
    }
    const child = spawn(process.execPath, [join(folder, "dist/server.js"), "--redis", redis.url]);
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    expect(await once(child, "close")).toEqual([1, null]);
    expect(said).toMatch(/^holdline: [^\n]*npm install redis\n$/);
    await rm(folder, { recursive: true });
  });
});
