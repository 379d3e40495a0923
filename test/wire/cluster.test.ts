/**
 * Several processes with one room: names, presence and messages are the same on each of them. In the end, on the kinds of
 * server that other tests do not use: Redis over IPv6 and TLS, and Valkey.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createClient } from "redis";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type ChatOptions, RedisStore } from "../../src/index.js";
import { freePort } from "../conformance/port.js";
import { type Running, start as startChat, until } from "./chat.js";
import { ask, type Batch, code, login, loginKey, Person, sessionIn, texts } from "./person.js";
import { type Redis, startRedis, startRedisOf } from "./redis.js";
import { launch, printed, run, runWith, startServer, startServerWith } from "./server.js";

const SHORT_GRACE = fileURLToPath(new URL("short-grace.mjs", import.meta.url));
const TAKEN = [409, "name_taken"];

let redis: Redis;
let room = 0;
beforeAll(async () => {
  redis = await startRedis("--appendonly", "no");
});
afterAll(() => redis.stop());
beforeEach(() => {
  room++;
});

const noWarning = (line: string) => expect(line).toBe("no warning");

/** Starts another process of the test's room, in this process. */
const more = (options: ChatOptions = {}, warn = noWarning): Promise<Running> =>
  startChat({ ...options, store: new RedisStore({ url: `${redis.url}?prefix=room${room}`, warn }) });

/** Starts two chats of one room, as two processes. */
const start = async (options?: ChatOptions, warn = noWarning): Promise<[Running, Running]> => [
  await more(options, warn),
  await more(options, warn),
];

/** Waits until these users are present, as another one sees it. */
const untilHere = async (person: Person, ...users: string[]) => {
  while ((await person.who()).users.join() !== users.join());
};
const notices = (batch: Batch) =>
  batch.messages.flatMap(({ kind, user }) => (kind ? [`${user} ${kind}`] : []));

/** Waits until every process knows that a session has ended. */
async function untilEnded(person: Person, ...chats: readonly Running[]): Promise<void> {
  for (const chat of chats) while ((await person.at(chat).status()) !== 401);
}

/** Checks that a session is valid on every process. */
async function expectValid(person: Person, ...chats: readonly Running[]): Promise<void> {
  for (const chat of chats) expect(await person.at(chat).status()).toBe(200);
}

test("a name that two log-ins on two processes race for goes to one of them", async () => {
  const [one, two] = await start();
  for (let n = 0; n < 50; n++) {
    const name = `ann${n}`;
    const replies = await Promise.all([login(one.url, name), login(two.url, name.toUpperCase())]);
    expect(replies.map(({ status }) => status).toSorted()).toEqual([303, 409]);
  }
});

test("a session is valid on every process until a log-out or another owner ends it on all of them", async () => {
  const [one, two] = await start({ grace: 60_000 });
  const older = await Person.login(one.url, "ann");
  await expectValid(older, one, two);
  expect(code(await login(two.url, "ann"))).toEqual(TAKEN);
  await older.leave();
  const newer = await Person.login(two.url, "ann");
  await untilEnded(older, one, two);
  const three = await more();
  expect(await older.at(three).status()).toBe(401);
  await expectValid(newer, one, two, three);
  await newer.at(one).logout();
  await untilEnded(newer, one, two, three);
  expect(await newer.at(await more()).status()).toBe(401);
});

test("a name is taken while its owner has a poll held on any process, also after the grace time", async () => {
  const [one, two] = await start({ grace: 200 });
  const ann = await Person.login(one.url, "ann");
  let isOver = false;
  // Notices do not end a plain poll, so one is held all the time.
  const polling = (async () => {
    while (!isOver) await ann.plain();
  })();
  await until(() => one.chat.waiting === 1);
  const dan = await Person.login(two.url, "dan");
  await dan.end();
  // Dan joined later and is absent by now, so the grace time is over.
  await untilHere(ann.at(two), "ann", "dan");
  await untilHere(ann.at(two), "ann");
  await until(() => one.chat.waiting === 1);
  await expect(Person.login(two.url, "ANN")).rejects.toThrow("409");
  isOver = true;
  await dan.post("enough");
  await polling;
});

test("a log-in is 503 while as many names are held as are remembered, until one is free", async () => {
  const [one, two] = await start({ maxNames: 2, grace: 3_600_000 });
  await Person.login(one.url, "ann");
  const bob = await Person.login(two.url, "bob");
  expect((await login(two.url, "cyd")).status).toBe(503);
  await bob.leave();
  expect((await login(one.url, "cyd")).status).toBe(303);
});

test("a form that is sent to two processes at once is one log-in, valid on both", async () => {
  const [one, two] = await start();
  for (let n = 0; n < 20; n++) {
    const key = await loginKey(one.url);
    const replies = await Promise.all([login(one.url, "ann", {}, key), login(two.url, "ann", {}, key)]);
    expect(replies.map((reply) => reply.status)).toEqual([303, 303]);
    const people = replies.map((reply) => Person.of(two.url, "ann", reply)) as [Person, Person];
    expect(new Set(people.map(({ cookie }) => sessionIn(cookie))).size).toBe(1);
    for (const person of people) await expectValid(person, one, two);
    // Somebody else, with another form or without one.
    expect(code(await login(two.url, "ann", {}, await loginKey(two.url)))).toEqual(TAKEN);
    expect(code(await login(one.url, "ann"))).toEqual(TAKEN);
    await people[0].logout();
    // At once: this process may not know of the log-out yet. The form does not revive the session.
    const second = Person.of(one.url, "ann", await login(one.url, "ann", {}, key));
    expect(sessionIn(second.cookie)).not.toBe(sessionIn(people[0].cookie));
    await untilEnded(people[0], one, two);
    await expectValid(second, one, two);
    await second.logout();
    await untilEnded(second, one, two);
  }
});

test("a Redis that lost its data gets the owners of the names again", async () => {
  const direct = createClient({ url: redis.url });
  await direct.connect();
  const [one, two] = await start({}, () => {});
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
  await ann.logout();
  await poll;
  direct.destroy();
});

test("presence is announced once, and is the same on every process, wherever the members poll", async () => {
  const [one, two] = await start({ grace: 5_000 });
  const ann = await Person.login(one.url, "ann");
  const bob = await Person.login(two.url, "bob");
  for (let n = 0; n < 20; n++) {
    for (const chat of [one, two]) {
      await ann.at(chat).batch("since=now&wait=0.02&client=a");
      await bob.at(chat).batch("since=now&wait=0.02&client=b");
    }
  }
  await untilHere(ann.at(two), "ann", "bob");
  const all = async () => notices(await ann.batch("since=0&wait=0")).toSorted();
  expect(await all()).toEqual(["ann join", "bob join"]);
  // Bob polls no more, and Ann does.
  for (let cursor = "0", gone = false; !gone; ) {
    const batch = await ann.at(Math.random() < 0.5 ? one : two).batch(`since=${cursor}&wait=1&client=a`);
    cursor = batch.cursor;
    gone = notices(batch).includes("bob leave");
  }
  await untilHere(ann, "ann");
  await untilHere(ann.at(two), "ann");
  while ((await all()).length < 3);
  expect(await all()).toEqual(["ann join", "bob join", "bob leave"]);
});

test("presence ends when the page is closed on another process, unless one is open, and a reload writes no notice", async () => {
  const [one, two] = await start();
  const ann = await Person.login(one.url, "ann");
  const bob = await Person.login(one.url, "bob");
  const all = async () => notices(await bob.batch("since=0&wait=0"));
  await bob.end();
  while ((await all()).length === 0);
  const poll = ann.batch("since=now&wait=60&client=a");
  await untilHere(bob.at(two), "ann", "bob");
  // Another page is closed, and this one stays open.
  await ann.at(two).leave("b");
  await untilHere(bob, "ann", "bob");
  expect(one.chat.waiting).toBe(1);
  await ann.at(two).leave("a");
  expect(await poll).toMatchObject({ messages: [] });
  // Ann is back with another page on another process.
  await ann.batch("since=now&wait=0&client=b");
  await untilHere(bob.at(two), "ann", "bob");
  // The notice of a page that is closed later is written later.
  const cat = await Person.login(one.url, "cat");
  await cat.end();
  await cat.leave("c");
  while (!(await all()).includes("cat leave"));
  expect((await all()).toSorted()).toEqual(["ann join", "bob join", "cat join", "cat leave"]);
});

test("a cursor of one process means the same on another, also on one that is behind", async () => {
  const [one, two] = await start();
  const ann = await Person.login(one.url, "ann");
  for (let n = 0; n < 200; n++) {
    const id = await ann.post(`${n}`);
    const batch = await ann.at(two).batch(`since=${id}&wait=0`);
    expect(batch).toMatchObject({ messages: [], cursor: id });
    expect(batch.gap).toBeUndefined();
  }
  const future = `${Date.now() + 3_600_000}-0`;
  expect(await ann.batch(`since=${future}&wait=0`)).toMatchObject({ gap: true });
  // A poll without a cursor starts at the log-in on the other process, also without a cookie.
  const bob = await Person.login(one.url, "bob");
  await ann.post("after");
  expect(await bob.at(two).plainWith()).toBe("after");
  expect(await bob.at(two).plain()).toBe("after");
});

test("a process that is killed frees its names, and their members leave", async () => {
  const chat = await more({ grace: 1_000 });
  const killed = launch(process.execPath, [SHORT_GRACE, `${redis.url}?prefix=room${room}`, "1000"]);
  const ann = await Person.login(await printed(killed, /^http:\S+/), "ann");
  const bob = await Person.login(chat.url, "bob");
  ann.poll("since=now&wait=60").catch(() => undefined);
  await untilHere(bob, "ann");
  killed.child.kill("SIGKILL");
  await killed.exited;
  await expect(Person.login(chat.url, "ann")).rejects.toThrow("409");
  while (!notices(await bob.batch("since=0&wait=0")).includes("ann leave"));
  // The lease of the name and the heartbeat of its process end by themselves, each at its own time.
  while ((await login(chat.url, "ann")).status !== 303);
});

test("a process without Redis holds polls, refuses posts and log-ins, and reports 503", async () => {
  const own = await startRedis("--requirepass", "hunter2");
  const server = await startServer("--redis", `redis://:hunter2@127.0.0.1:${own.port}`);
  const ann = await Person.login(server.url, "ann");
  const poll = ann.batch("since=now&wait=60");
  await untilHere(ann, "ann");
  await own.kill();
  while ((await ask(`${server.url}/healthz`)).status !== 503);
  const post = await ann.say("lost");
  expect([...code(post), post.headers["retry-after"]]).toEqual([503, "store_unavailable", "5"]);
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

test("a process that cannot start with Redis reports it in one line without the password", async () => {
  const own = await startRedis("--requirepass", "another");
  for (const [host, status, words] of [
    ["redis://:hunter2@127.0.0.1:1", 1, "Redis at 127\\.0\\.0\\.1:1: connect ECONNREFUSED.*; choose another"],
    [`redis://:hunter2@127.0.0.1:${own.port}`, 1, "WRONGPASS.*; choose another place"],
    ["http://:hunter2@127.0.0.1", 2, "the URL of a Redis is "],
  ] as const) {
    const { exited, out } = run("--port", "0", "--redis", host);
    expect([await exited, out.stdout]).toEqual([status, ""]);
    expect(out.stderr).toMatch(new RegExp(`^holdline: [^\n]*${words}[^\n]*\n$`));
    expect(out.stderr).not.toContain("hunter2");
  }
  await own.stop();
});

test("a process without Redis' client reports how to install it", async () => {
  const folder = await mkdtemp(join(tmpdir(), "holdline-"));
  for (const part of ["dist", "static", "package.json"]) {
    const source = fileURLToPath(new URL(`../../${part}`, import.meta.url));
    await cp(source, join(folder, part), { recursive: true });
  }
  const { exited, out } = launch(process.execPath, [join(folder, "dist/server.js"), "--redis", redis.url]);
  expect(await exited).toBe(1);
  expect(out.stderr).toMatch(/^holdline: [^\n]*npm install redis;[^\n]*\n$/);
  await rm(folder, { recursive: true });
});

const folder = mkdtempSync(join(tmpdir(), "holdline-tls-"));
const [KEY, CERT] = [join(folder, "key.pem"), join(folder, "cert.pem")];
beforeAll(() => {
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const pair = ["-newkey", "rsa:2048", "-nodes", "-keyout", KEY, "-out", CERT];
  execFileSync("openssl", ["req", "-x509", "-days", "1", ...pair, ...subject], { stdio: "ignore" });
});
afterAll(() => rmSync(folder, { recursive: true }));

let kind: Redis | undefined;
afterEach(() => kind?.stop());

/** Each function starts a server. It returns its URL. */
const KINDS = {
  async "Redis at an IPv6 address"() {
    kind = await startRedis("--bind", "127.0.0.1", "::1");
    return `redis://[::1]:${kind.port}`;
  },
  async "Redis over TLS"() {
    const port = await freePort();
    const files = ["--tls-cert-file", CERT, "--tls-key-file", KEY, "--tls-auth-clients", "no"];
    kind = await startRedis("--tls-port", `${port}`, ...files);
    return `rediss://localhost:${port}`;
  },
  async Valkey() {
    kind = await startRedisOf(process.env.VALKEY ?? "valkey-server");
    return kind.url;
  },
};

test.each(Object.entries(KINDS))(
  "two processes on %s share messages, keys, names and presence",
  async (_, startKind) => {
    const url = await startKind();
    const begin = () => startServerWith({ NODE_EXTRA_CA_CERTS: CERT }, "--redis", url);
    const [one, two] = [await begin(), await begin()];
    const ann = await Person.login(one.url, "ann");
    const there = ann.at(two);
    const poll = there.batch("since=now&wait=60");
    while (!(await ann.who()).users.includes("ann"));
    const id = await ann.post("once", { "Idempotency-Key": "k" });
    expect(texts(await poll)).toEqual(["once"]);
    expect(await there.post("once", { "Idempotency-Key": "k" })).toBe(id);
    expect((await login(two.url, "Ann")).status).toBe(409);
    const bob = await Person.login(two.url, "bob");
    // After a restart of the server everything is as before. New log-ins are refused for a moment.
    await kind?.kill();
    await kind?.start();
    while ((await ann.say("again")).status !== 200);
    expect(texts(await bob.batch("since=0&wait=0"))).toContain("once");
    await there.logout();
    while ((await ann.status()) !== 401);
    await Promise.all([one.stop("SIGKILL"), two.stop("SIGKILL")]);
  },
);

test("a process refuses a server whose certificate is not trusted", async () => {
  const { exited, out } = runWith({}, "--port", "0", "--redis", await KINDS["Redis over TLS"]());
  expect(await exited).toBe(1);
  expect(out.stderr).toMatch(/^holdline: cannot keep messages in Redis at [^\n]*certificate[^\n]*\n$/);
});
