/** The Redis store against a real Redis: what is kept, once, in one order, and what is told when that cannot be. */
import { createClient } from "redis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { LocalMembers, Session } from "../../src/store/cluster.js";
import { RedisStore } from "../../src/store/redis.js";
import { type Message, type Snapshot, StoreUnavailable } from "../../src/store/store.js";
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

interface Open {
  readonly store: RedisStore;
  readonly kept: Snapshot;
  /** The messages and the resets that the store handed over. */
  readonly received: Message[];
  readonly resets: Snapshot[];
  readonly warnings: string[];
}

let room = 0;
let opened: RedisStore[];
beforeEach(() => {
  room++;
  opened = [];
});
afterEach(() => Promise.all(opened.map((store) => store.close())));

async function open(keep = 100, url = redis.url): Promise<Open> {
  const received: Message[] = [];
  const resets: Snapshot[] = [];
  const warnings: string[] = [];
  const store = new RedisStore({ url: `${url}?prefix=room${room}`, warn: (line) => warnings.push(line) });
  const kept = await store.open(
    (message) => received.push(message),
    (snapshot) => resets.push(snapshot),
    keep,
  );
  opened.push(store);
  return { store, kept, received, resets, warnings };
}

const until = async (isSo: () => boolean | Promise<boolean>) => {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 5));
};

describe("a message", () => {
  test("is received by every process, by its own before the post is answered, and the same everywhere", async () => {
    const [one, two] = [await open(), await open()];
    const said = await one.store.append({ user: "ann", text: "hello\n你好 \u{1f642}" });
    expect(one.received).toEqual([said]);
    const join = await two.store.append({ user: "bob", text: "", kind: "join" });
    await until(() => one.received.length === 2);
    expect(one.received).toEqual([said, join]);
    expect(two.received).toEqual([said, join]);
    expect(said).toEqual({
      id: said.id,
      user: "ann",
      text: "hello\n你好 \u{1f642}",
      at: Number(said.id.split("-")[0]),
    });
    expect(join.kind).toBe("join");
    const later = await open();
    expect(later.kept.messages).toEqual([said, join]);
    expect(one.resets).toEqual([]);
  });

  test("keeps its key as long as itself, and then no more; nothing in Redis grows", async () => {
    const { store } = await open(3);
    const first = await store.append({ user: "ann", text: "first", key: "k" });
    await store.append({ user: "ann", text: "2" });
    await store.append({ user: "ann", text: "3" });
    expect(await store.append({ user: "ann", text: "first", key: "k" })).toEqual(first);
    await store.append({ user: "ann", text: "4" });
    const again = () => store.append({ user: "ann", text: "first", key: "k" });
    await until(async () => (await again()).id !== first.id);
    const some = () =>
      Promise.all([..."abcdefghijklmnopqrst"].map((text) => store.append({ user: "ann", text })));
    for (let n = 0; n < 50; n++) await some();
    await until(async () => (await direct.hLen(`room${room}:keys`)) === 3);
    expect(await direct.xLen(`room${room}:messages`)).toBe(3);
  });

  test("in one room is not in another", async () => {
    const { store } = await open();
    await store.append({ user: "ann", text: "here", key: "k" });
    room++;
    const other = await open();
    expect(other.kept.messages).toEqual([]);
    expect(other.store.secrets).not.toEqual(store.secrets);
    await other.store.append({ user: "ann", text: "there", key: "k" });
    expect(other.received.map(({ text }) => text)).toEqual(["there"]);
  });
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
  expect((await open(2)).kept.messages.map(({ text }) => text)).toEqual(["298", "299"]);
  expect(await direct.xLen(`room${room}:messages`)).toBe(2);
  expect(await direct.hLen(`room${room}:keys`)).toBe(2);
  // A process that keeps more is not told that it has everything.
  const [first] = (await open(1000)).kept.messages;
  expect(first?.text).not.toBe("1");
});

test("a process that missed a message gets everything that is still kept", async () => {
  const { store, resets } = await open(10);
  const first = await store.append({ user: "ann", text: "1" });
  // As if the process had not read a message that is removed by now.
  await direct.xAdd(`room${room}:messages`, "*", { prev: `${first.id}9`, user: "ann", text: "3" });
  await until(() => resets.length === 1);
  expect(resets[0]?.messages.map(({ text }) => text)).toEqual(["1", "3"]);
  expect(resets[0]?.messages[0]).toEqual(first);
});

test("an empty Redis begins after the newest id that a process has seen, and everybody is told", async () => {
  const { store, received, resets } = await open();
  const before = await store.append({ user: "ann", text: "before" });
  await direct.flushAll();
  await direct.sendCommand(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
  let after: Message | undefined;
  await until(async () => {
    after = await store.append({ user: "ann", text: "after", key: "k" }).catch(() => undefined);
    return after !== undefined;
  });
  // The new message is in the snapshot of the reset, or comes after it.
  expect(resets).toHaveLength(1);
  expect([before, ...(resets[0]?.messages ?? []), ...received.slice(1)]).toEqual([before, after]);
});

test("a store that is closed while it connects anew lets that connection go, too", async () => {
  const proxy = await startProxy(redis.port);
  const { store } = await open(100, `redis://127.0.0.1:${proxy.port}`);
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

test("a post whose answer is lost is tried again, and is kept once", async () => {
  const proxy = await startProxy(redis.port, "cut me");
  const { store, received } = await open(100, `redis://127.0.0.1:${proxy.port}`);
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

test("names of members with polls are not forgotten when there are too many names", async () => {
  const { cluster } = (await open()).store;
  const held = Array.from({ length: 110 }, (_, n) => session(`here${n}`));
  const grace = 200;
  cluster.join(
    alone({
      options: { grace, maxNames: 111 },
      sessions: () => held.map((one) => [one, Number.POSITIVE_INFINITY]),
    }),
  );
  for (const one of held) expect(await cluster.claim(one, "")).toEqual(one);
  expect(await cluster.claim(session("gone"), "")).toMatchObject({ name: "gone" });
  // At first "gone" is held, too.
  await until(async () => typeof (await cluster.claim(session("new"), "")) !== "string");
  for (const { name } of held) expect(await cluster.claim(session(name, "another"), "")).toBe("taken");
});

test("a name is given to the session that replaces its owner's, and two log-ins from one form are one", async () => {
  const { cluster } = (await open()).store;
  cluster.join(alone());
  const form = "0123456789abcdef";
  const first = session("ann", `${form}first`);
  expect(await cluster.claim(first, "")).toEqual(first);
  const second = await cluster.claim({ ...session("ann", `${form}second`), name: "Ann" }, "");
  expect(second).toMatchObject({ id: first.id, name: "ann" });
  expect(await cluster.claim(session("ann", "another"), "no such session")).toBe("taken");
  expect(await cluster.claim(session("ann", "another"), first.id)).toMatchObject({ id: "another" });
  expect(await cluster.claim(session("ann", `${form}third`), first.id)).toBe("taken");
});

/** Members that remember which changes they were told. */
function recorder(changes: string[]): LocalMembers {
  return alone({
    applyJoin: (key) => changes.push(`join ${key}`),
    applyLeave: (key, mayReturn) => changes.push(`${mayReturn ? "unload" : "leave"} ${key}`),
    applyOwner: ({ key, id }) => changes.push(`owner ${key} ${id}`),
    applyUnload: (key, page) => changes.push(`unload ${key} ${page}`),
  });
}

test("the members of a process are told to the others, in order, and leave some time after it is closed", async () => {
  const [one, two] = [await open(), await open()];
  const changes: string[] = [];
  two.store.cluster.join(recorder(changes));
  const { cluster } = one.store;
  cluster.join(alone({ present: [session("bob")] }));
  void cluster.publish("join", "ann", "Ann");
  void cluster.publish("join", "bob", "Bob");
  void cluster.publish("unload", "x y", "page");
  void cluster.publish("unload", "x y", "");
  void cluster.publish("leave", "ann", "");
  void cluster.publish("join", "eve", "Eve");
  await cluster.publish("leave", "eve", "reload");
  await one.store.close();
  await until(() => changes.includes("leave bob"));
  const unloads = ["unload x y page", "unload x y undefined"];
  expect(changes).toEqual([
    ...["join ann", "join bob", ...unloads, "leave ann", "join eve", "unload eve", "leave bob"],
  ]);
});

test("a process that starts later learns all members, and ten thousand that leave are told at once", async () => {
  const here = new Set(Array.from({ length: 10_000 }, (_, n) => session(`n${n}`)));
  const one = await open();
  one.store.cluster.join(alone({ present: here }));
  const two = await open();
  const present = new Set<string>();
  two.store.cluster.join(
    alone({ applyJoin: (key) => present.add(key), applyLeave: (key) => present.delete(key) }),
  );
  await until(() => present.size === 10_000);
  for (const member of here) {
    here.delete(member);
    void one.store.cluster.publish("leave", member.key, "");
  }
  await until(() => present.size === 0);
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
  await direct.flushAll();
  await until(async () => (await direct.hExists(`room${room}:owners`, "ann")) === 1);
  expect(await cluster.verify(older)).toBe(false);
});

describe("a Redis that hangs", () => {
  test("gives nobody a name whose log-in was refused", async () => {
    const { cluster } = (await open()).store;
    cluster.join(alone());
    redis.signal("SIGSTOP");
    await expect(cluster.claim(session("ann", "refused"), "")).rejects.toThrow(StoreUnavailable);
    redis.signal("SIGCONT");
    let result: unknown;
    await until(async () => {
      result = await cluster.claim(session("ann", "again"), "").catch(() => undefined);
      return result !== undefined;
    });
    expect(result).toMatchObject({ id: "again" });
  });

  test("makes no message of what was refused", async () => {
    const { store, received, warnings } = await open();
    redis.signal("SIGSTOP");
    const posts = [1, 2, 3].map((n) => store.append({ user: "ann", text: `${n}` }));
    for (const post of posts) await expect(post).rejects.toThrow(StoreUnavailable);
    redis.signal("SIGCONT");
    await until(() => store.writable);
    await store.append({ user: "ann", text: "after" });
    expect(received.map(({ text }) => text)).toEqual(["after"]);
    expect((await open()).kept.messages.map(({ text }) => text)).toEqual(["after"]);
    expect(warnings).toHaveLength(2);
  });
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
  const late = store.append({ user: "ann", text: "late" });
  await Promise.all(posts);
  await closed;
  const outcome = await late.then(
    () => "kept",
    (error) => error,
  );
  if (outcome !== "kept") expect(outcome).toBeInstanceOf(StoreUnavailable);
  await expect(store.append({ user: "ann", text: "later" })).rejects.toThrow(StoreUnavailable);
  expect(warnings).toEqual([]);
});

test("a store whose `keep` is larger than the chat's backlog keeps that many, and warns if it is much larger", async () => {
  const warnings: string[] = [];
  const options = {
    url: `${redis.url}?prefix=room${room}`,
    keep: 21,
    warn: (line: string) => warnings.push(line),
  };
  const start = async () => {
    const store = new RedisStore(options);
    opened.push(store);
    return {
      store,
      ...(await store.open(
        () => {},
        () => {},
        2,
      )),
    };
  };
  const { store } = await start();
  for (let n = 0; n < 30; n++) await store.append({ user: "ann", text: `${n}` });
  const { messages } = await start();
  expect(messages.map(({ text }) => Number(text))).toEqual(Array.from({ length: 21 }, (_, n) => n + 9));
  expect(warnings).toHaveLength(2);
  expect(warnings[0]).toMatch(
    /^Redis at .*: keep is 21, but the backlog of the chat is 2; better leave keep out$/,
  );
  for (const wrong of [{ keep: 0 }, { keep: "7" }, { warn: 1 }]) {
    const make = () => Reflect.construct(RedisStore, [{ ...options, ...wrong }]);
    expect(make).toThrow(Object.keys(wrong)[0]);
  }
});
