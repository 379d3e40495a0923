/** The Redis store against a real Redis: what is kept, once, in one order, and what is told when that cannot be. */
import { createClient } from "redis";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { RedisStore, type RedisStoreOptions, StoreUnavailable } from "../../src/index.js";
import type { LocalMembers, Message, Session, Snapshot } from "../../src/store/store.js";
import { startProxy } from "../faults/proxy.js";
import { type Redis, startRedis } from "../wire/redis.js";

let redis: Redis;
let direct: ReturnType<typeof createClient>;
beforeAll(async () => {
  redis = await startRedis("--appendonly", "no");
  direct = createClient({ url: redis.url });
  await direct.connect();
});
afterAll(async () => {
  direct.destroy();
  await redis.stop();
});

let room = 0;
let opened: RedisStore[];
beforeEach(() => {
  room++;
  opened = [];
});
afterEach(() => Promise.all(opened.map((store) => store.close())));

/** Opens a store of a chat with this backlog. */
async function open(backlog = 100, { url = redis.url, ...options }: Partial<RedisStoreOptions> = {}) {
  // What the store hands over.
  const received: Message[] = [];
  const resets: Snapshot[] = [];
  const warnings: string[] = [];
  const warn = (line: string) => warnings.push(line);
  const store = new RedisStore({ url: `${url}?prefix=room${room}`, warn, ...options });
  opened.push(store);
  const kept = await store.open(
    (message) => received.push(message),
    (snapshot) => resets.push(snapshot),
    backlog,
  );
  return { store, kept, received, resets, warnings };
}

const textsOf = (messages: readonly Message[]) => messages.map(({ text }) => text);
const pause = () => new Promise((resolve) => setTimeout(resolve, 5));
const until = async (isSo: () => boolean | Promise<boolean>) => {
  while (!(await isSo())) await pause();
};
/** Tries something again until it does not reject. */
const retry = async <T>(work: () => Promise<T>): Promise<T> =>
  work().catch(() => pause().then(() => retry(work)));

test("a message keeps its key as long as itself, and then no more; nothing in Redis grows", async () => {
  const { store } = await open(3);
  const say = (text: string, key?: string) => store.append({ user: "ann", text, ...(key && { key }) });
  const first = await say("first", "k");
  for (const text of ["2", "3"]) await say(text);
  expect(await say("first", "k")).toEqual(first);
  await say("4");
  await until(async () => (await say("first", "k")).id !== first.id);
  for (let n = 0; n < 50; n++) await Promise.all([..."abcdefghijklmnopqrst"].map((text) => say(text)));
  await until(async () => (await direct.hLen(`room${room}:keys`)) === 3);
  expect(await direct.xLen(`room${room}:messages`)).toBe(3);
});

test("the id before the oldest kept message is exact on every process, also of an empty room and of a smaller backlog", async () => {
  const [one, two] = [await open(10), await open(10)];
  expect(one.kept.lastPrunedId).toBe(two.kept.lastPrunedId);
  await one.store.append({ user: "ann", text: "1", key: "1" });
  expect((await open(10)).kept.lastPrunedId).toBe(one.kept.lastPrunedId);
  for (let n = 2; n < 300; n++) await one.store.append({ user: "ann", text: `${n}`, key: `${n}` });
  const { kept } = await open(10);
  expect(kept.messages).toEqual(one.received.slice(-10));
  expect(kept.lastPrunedId).toBe(one.received.at(-11)?.id);
  expect(textsOf((await open(2)).kept.messages)).toEqual(["298", "299"]);
  expect(await direct.xLen(`room${room}:messages`)).toBe(2);
  expect(await direct.hLen(`room${room}:keys`)).toBe(2);
  // A process that keeps more is not told that it has everything.
  expect((await open(1000)).kept.messages[0]?.text).not.toBe("1");
});

test("an empty Redis begins after the newest id that a process has seen, and everybody is told", async () => {
  const { store, received, resets } = await open();
  const before = await store.append({ user: "ann", text: "before" });
  await direct.flushAll();
  await direct.sendCommand(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
  const after = await retry(() => store.append({ user: "ann", text: "after", key: "k" }));
  // The new message is in the snapshot of the reset, or comes after it.
  expect(resets).toHaveLength(1);
  expect([before, ...(resets[0]?.messages ?? []), ...received.slice(1)]).toEqual([before, after]);
});

test("a store that is closed while it connects anew lets that connection go, too", async () => {
  const proxy = await startProxy(redis.port);
  const { store } = await open(100, { url: `redis://127.0.0.1:${proxy.port}` });
  proxy.hold();
  proxy.cut();
  await until(() => proxy.clients() === 0);
  await until(() => proxy.clients() === 2);
  const closed = store.close();
  proxy.release();
  await closed;
  await until(() => proxy.clients() === 0);
  proxy.close();
});

test.each([
  ["connect", 1, undefined],
  ["read the messages", undefined, "\r\nXREVRANGE\r\n"],
])("a store that could not %s is opened by a second attempt", async (_, port, cutAt) => {
  const proxy = await startProxy(port ?? redis.port, cutAt);
  const store = new RedisStore({ url: `redis://127.0.0.1:${proxy.port}?prefix=room${room}` });
  opened.push(store);
  const start = () => store.open(() => {});
  await expect(start()).rejects.toThrow("cannot keep messages in Redis at 127.0.0.1:");
  proxy.switchTo(redis.port);
  await start();
  expect(await store.append({ user: "ann", text: "kept" })).toMatchObject({ text: "kept" });
  proxy.close();
});

test("a post just after the connection was lost waits for the next one", async () => {
  const proxy = await startProxy(redis.port);
  const { store } = await open(100, { url: `redis://127.0.0.1:${proxy.port}` });
  proxy.cut();
  await until(() => !store.writable);
  expect(await store.append({ user: "ann", text: "kept" })).toMatchObject({ text: "kept" });
  proxy.close();
});

test("a post whose answer is lost is tried again, and is kept once", async () => {
  const proxy = await startProxy(redis.port, "cut me");
  const { store, received } = await open(100, { url: `redis://127.0.0.1:${proxy.port}` });
  await store.append({ user: "ann", text: "before" });
  const cut = await store.append({ user: "ann", text: "cut me" });
  const after = await store.append({ user: "ann", text: "after" });
  expect(received.slice(1)).toEqual([cut, after]);
  expect((await open()).kept.messages).toEqual(received);
  proxy.close();
});

/** The members of a process without members. */
const alone = (options: Partial<LocalMembers> = {}): LocalMembers => ({
  options: { grace: 30_000, maxNames: 1_000 },
  sessions: () => [],
  present: [],
  applyOwner: () => {},
  applyJoin: () => {},
  applyLeave: () => {},
  applyUnload: () => {},
  ...options,
});
const session = (name: string, id = `${name}'s`): Session => ({ key: name, name, id, since: Date.now() });

/** Members that remember which changes they were told. */
function recorder(changes: string[]): LocalMembers {
  return alone({
    applyJoin: (key) => changes.push(`join ${key}`),
    applyLeave: (key) => changes.push(`leave ${key}`),
    applyOwner: ({ key, id }) => changes.push(`owner ${key} ${id}`),
    applyUnload: (key, page) => changes.push(`unload ${key} ${page}`),
  });
}

test("a process that starts later learns all members, and ten thousand that leave are told at once", async () => {
  const here = new Set(Array.from({ length: 10_000 }, (_, n) => session(`n${n}`)));
  const one = await open();
  one.store.cluster.join(alone({ present: here }));
  const two = await open();
  const told = new Set<string>();
  two.store.cluster.join(alone({ applyJoin: (key) => told.add(key), applyLeave: (key) => told.delete(key) }));
  await until(() => told.size === 10_000);
  for (const { key } of here) void one.store.cluster.publish("leave", key, "");
  here.clear();
  await until(() => told.size === 0);
});

test("members of a process without heartbeats are absent on the others, and present when it goes on", async () => {
  const [one, two] = [await open(), await open()];
  const changes: string[] = [];
  two.store.cluster.join(recorder(changes));
  // As if another process sent its members, and then nothing for a while, and then it went on.
  const send = (isAll: boolean, ...changes: string[][]) =>
    direct.xAdd(`room${room}:changes`, "*", { beat: JSON.stringify({ from: "third", changes, isAll }) });
  await send(false, ["join", "ann", "Ann"]);
  await until(() => changes.includes("leave ann"));
  expect(changes).toEqual(["join ann", "leave ann"]);
  await send(true, ["join", "ann", "Ann"], ["join", "bob", "Bob"]);
  await send(true, ["join", "bob", "Bob"]);
  await until(() => changes.length === 5);
  expect(changes.slice(2)).toEqual(["join ann", "join bob", "leave ann"]);
  expect(one.resets).toEqual([]);
});

test("members are told again after Redis refused to write, and nothing of it is sent while it refuses", async () => {
  const [one, two] = [await open(), await open()];
  const changes: string[] = [];
  two.store.cluster.join(recorder(changes));
  const ended = session("ann", "ended");
  const sessions = [[{ ...ended, id: "", since: ended.since + 1 }, 0]] as const;
  one.store.cluster.join(alone({ present: [session("bob")], sessions: () => sessions }));
  await one.store.cluster.claim(ended, "");
  await until(() => changes.includes("owner ann ended"));
  await direct.configSet("maxmemory", "1");
  void one.store.cluster.publish("join", "bob", "Bob");
  void one.store.cluster.hold({ ...ended, id: "" }, 0);
  await until(() => !one.store.writable && !two.store.writable);
  await direct.configSet("maxmemory", "0");
  await until(() => changes.includes("join bob") && changes.includes("owner ann "));
  expect(await two.store.cluster.verify(ended)).toBe(false);
});

test("a session that ended stays ended when Redis comes back without its data", async () => {
  const { cluster } = (await open()).store;
  const newer = { ...session("ann", ""), since: Date.now() + 1 };
  cluster.join(alone({ sessions: () => [[newer, 0]] }));
  const older = session("ann", "older");
  const isKnown = async () => (await direct.hExists(`room${room}:owners`, "ann")) === 1;
  // With the first heartbeats.
  await until(isKnown);
  await direct.flushAll();
  await until(isKnown);
  expect(await cluster.verify(older)).toBe(false);
});

test("a session takes its name from the one that it replaces, and from no other", async () => {
  const { cluster } = (await open()).store;
  cluster.join(alone());
  const [first, second] = [session("ann", "first"), session("ann", "second")];
  expect(await cluster.claim(first, "")).toMatchObject({ id: "first" });
  for (const replaced of ["", "other"]) expect(await cluster.claim(second, replaced)).toBe("taken");
  expect(await cluster.claim(second, "first")).toMatchObject({ id: "second" });
});

test("what was refused because Redis hangs is not done later: no message is there, and no name is taken", async () => {
  const { store, received, warnings } = await open();
  store.cluster.join(alone());
  redis.signal("SIGSTOP");
  const refused = [1, 2, 3].map((n): Promise<unknown> => store.append({ user: "ann", text: `${n}` }));
  refused.push(store.cluster.claim(session("ann", "refused"), ""));
  await Promise.all(refused.map((one) => expect(one).rejects.toThrow(StoreUnavailable)));
  redis.signal("SIGCONT");
  const result = await retry(() => store.cluster.claim(session("ann", "again"), ""));
  expect(result).toMatchObject({ id: "again" });
  await store.append({ user: "ann", text: "after" });
  for (const messages of [received, (await open()).kept.messages])
    expect(textsOf(messages)).toEqual(["after"]);
  expect(warnings).toHaveLength(2);
});

test.each(["", "nonsense", "http://127.0.0.1", "redis://", "redis://user:hunter2@host:port", "redis://h/x"])(
  "%j is not the URL of a Redis, and the error does not repeat it",
  (url) => {
    const make = () => new RedisStore({ url, warn: () => {} });
    expect(make).toThrow(/^the URL of a Redis is redis:/);
    expect(make).not.toThrow(/hunter2/);
  },
);

test("a store that is closed refuses a post and warns of nothing", async () => {
  const { store, warnings } = await open();
  const posts = [1, 2, 3].map((n) => store.append({ user: "ann", text: `${n}` }));
  const closed = store.close();
  const late = store.append({ user: "ann", text: "late" }).catch((error) => error);
  await Promise.all(posts);
  await closed;
  if ((await late) instanceof Error) expect(await late).toBeInstanceOf(StoreUnavailable);
  await expect(store.append({ user: "ann", text: "later" })).rejects.toThrow(StoreUnavailable);
  expect(warnings).toEqual([]);
});
