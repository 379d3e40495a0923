/** The Redis store against a real Redis: what is kept, once, in one order, and what is told when that cannot be. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { createClient } from "redis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Resident } from "../../src/store/neighbours.js";
import { RedisStore } from "../../src/store/redis.js";
import { type Message, type Snapshot, StoreUnavailable } from "../../src/store/store.js";
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
  /** What the store handed over, with the floors that it told. */
  readonly received: Message[];
  readonly floors: unknown[];
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
  const floors: unknown[] = [];
  const warnings: string[] = [];
  const store = new RedisStore({ url, keep, prefix: `room${room}`, warn: (line) => warnings.push(line) });
  const kept = await store.open((message, floor) => {
    received.push(message);
    if (floor) floors.push(floor);
  });
  opened.push(store);
  return { store, kept, received, floors, warnings };
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
    expect(one.floors).toEqual([]);
  });

  test("of one user and key is one, whichever processes it is posted at, also at once", async () => {
    const stores = [await open(), await open()];
    const posts = Array.from({ length: 20 }, (_, n) =>
      stores[n % 2]?.store.append({ user: "ann", text: `${n}`, key: "k" }),
    );
    const messages = await Promise.all(posts);
    for (const message of messages) expect(message).toEqual(messages[0]);
    const others = [
      await stores[1]?.store.append({ user: "bob", text: "another's", key: "k" }),
      await stores[1]?.store.append({ user: "ann", text: "another", key: "l" }),
    ];
    await until(() => stores[0]?.received.length === 3);
    expect(stores[0]?.received).toEqual([messages[0], ...others]);
  });

  test("keeps its key as long as itself, and then no more; nothing in Redis grows", async () => {
    const { store } = await open(3);
    const first = await store.append({ user: "ann", text: "first", key: "k" });
    await store.append({ user: "ann", text: "2" });
    await store.append({ user: "ann", text: "3" });
    expect(await store.append({ user: "ann", text: "first", key: "k" })).toEqual(first);
    await store.append({ user: "ann", text: "4" });
    expect((await store.append({ user: "ann", text: "first", key: "k" })).id).not.toBe(first.id);
    for (let n = 0; n < 1000; n++) void store.append({ user: "ann", text: `${n}` });
    await store.append({ user: "ann", text: "last" });
    expect(await direct.zCard(`room${room}:keyed`)).toBe(3);
    expect(await direct.hLen(`room${room}:keys`)).toBe(3);
    expect(await direct.xLen(`room${room}:messages`)).toBeLessThan(300);
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

describe("the floor", () => {
  test("of an empty room is the same on every process, and is that of the room when something is said", async () => {
    const [one, two] = [await open(), await open()];
    expect(one.kept.lastPrunedId).toBe(two.kept.lastPrunedId);
    await one.store.append({ user: "ann", text: "1" });
    expect((await open()).kept.lastPrunedId).toBe(one.kept.lastPrunedId);
  });

  test("is the id before the oldest that is kept, to the message", async () => {
    const { store, received } = await open(10);
    for (let n = 0; n < 500; n++) void store.append({ user: "ann", text: `${n}` });
    await store.append({ user: "ann", text: "last" });
    const { kept } = await open(10);
    expect(kept.messages).toEqual(received.slice(-10));
    expect(kept.lastPrunedId).toBe(received.at(-11)?.id);
  });

  test("is never too low when another process keeps less", async () => {
    const { store } = await open(10);
    for (let n = 0; n < 500; n++) void store.append({ user: "ann", text: `${n}` });
    await store.append({ user: "ann", text: "last" });
    const { kept } = await open(1000);
    const [first] = kept.messages;
    expect(first?.text).not.toBe("0");
    expect(Number(kept.lastPrunedId.split("-")[0])).toBeGreaterThanOrEqual(
      Number(first?.id.split("-")[0]) - 1,
    );
  });
});

test("a message that a process did not get is told to it as a gap", async () => {
  const { store, received, floors } = await open(10);
  await store.append({ user: "ann", text: "1" });
  // As if the stream had been cut while the process was not looking.
  const deleted = await direct
    .multi()
    .incr(`room${room}:count`)
    .xAdd(`room${room}:messages`, "*", { n: "3", user: "ann", text: "3" })
    .exec();
  await until(() => received.length === 2);
  expect(floors).toHaveLength(1);
  expect(deleted).toHaveLength(2);
});

test("an empty Redis begins after what a process has seen, and everybody is told of the gap", async () => {
  const { store, received, floors } = await open();
  const before = await store.append({ user: "ann", text: "before" });
  await direct.flushAll();
  await direct.sendCommand(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
  let after: Message | undefined;
  await until(async () => {
    after = await store.append({ user: "ann", text: "after", key: "k" }).catch(() => undefined);
    return after !== undefined;
  });
  expect(received).toEqual([before, after]);
  expect(floors).toHaveLength(1);
});

/** A line to Redis that can be shut: what goes through it then ends, and what comes next waits until it is open again. */
async function startGate() {
  const clients = new Set<Socket>();
  const waiting: (() => void)[] = [];
  let isShut = false;
  const server = createServer((client) => {
    const pass = () => {
      const upstream = connect(redis.port, "127.0.0.1");
      client.pipe(upstream).pipe(client);
      client.on("close", () => upstream.destroy());
      upstream.on("error", () => {});
    };
    clients.add(client);
    client.on("error", () => {}).on("close", () => clients.delete(client));
    if (isShut) waiting.push(pass);
    else pass();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `redis://127.0.0.1:${port}`,
    clients,
    waiting,
    shut() {
      isShut = true;
      for (const client of clients) client.destroy();
    },
    open() {
      isShut = false;
      for (const pass of waiting.splice(0)) pass();
    },
    close: () => server.close(),
  };
}

test("a store that is closed while it connects anew lets that connection go, too", async () => {
  const gate = await startGate();
  const { store } = await open(100, gate.url);
  gate.shut();
  await until(() => gate.waiting.length === 2);
  const closed = store.close();
  gate.open();
  await closed;
  await until(() => gate.clients.size === 0);
  gate.close();
});

/** A line to Redis that is cut, once, instead of bringing the answer to what says "cut me". */
async function startCutter(): Promise<{ url: string; close: () => void }> {
  let hasCut = false;
  const server = createServer((client) => {
    const upstream = connect(redis.port, "127.0.0.1");
    let cut = false;
    client.on("error", () => {}).on("close", () => upstream.destroy());
    upstream.on("error", () => {}).on("close", () => client.destroy());
    client.on("data", (bytes) => {
      cut ||= !hasCut && bytes.includes("cut me");
      upstream.write(bytes);
    });
    upstream.on("data", (bytes) => {
      if (cut) {
        hasCut = true;
        client.destroy();
      } else client.write(bytes);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { url: `redis://127.0.0.1:${port}`, close: () => server.close() };
}

test("a post whose answer is lost is tried again, and is kept once", async () => {
  const cutter = await startCutter();
  const { store, received } = await open(100, cutter.url);
  await store.append({ user: "ann", text: "before" });
  const cut = await store.append({ user: "ann", text: "cut me" });
  const after = await store.append({ user: "ann", text: "after" });
  expect(received.slice(1)).toEqual([cut, after]);
  expect(await direct.xLen(`room${room}:messages`)).toBe(3);
  cutter.close();
});

test("a Redis that may not write is told once, and posts are refused until it may", async () => {
  const { store, warnings } = await open();
  await direct.configSet("maxmemory", "1");
  for (let n = 0; n < 3; n++) {
    await expect(store.append({ user: "ann", text: "x" })).rejects.toThrow(StoreUnavailable);
  }
  expect(store.writable).toBe(false);
  expect(warnings).toEqual([expect.stringMatching(/posts are refused: OOM/)]);
  await direct.configSet("maxmemory", "0");
  await until(() => store.writable);
  await store.append({ user: "ann", text: "kept" });
  expect(warnings.slice(1)).toEqual([expect.stringMatching(/messages are kept again/)]);
});

/** A process that has nothing to tell by itself. */
const alone = (options: Partial<Resident> = {}): Resident => ({
  grace: 30_000,
  maxNames: 1_000,
  here: () => [],
  met: () => {},
  owned: () => {},
  came: () => {},
  went: () => {},
  left: () => {},
  ...options,
});
const owner = (name: string, id = "login") => ({ key: name, name, id, since: Date.now() });

describe("names", () => {
  test("that are held by who is here do not stand before those that are free", async () => {
    const { store } = await open();
    const { neighbours } = store;
    const people = Array.from({ length: 110 }, (_, n) => `here${n}`);
    const grace = 200;
    neighbours.join(alone({ grace, maxNames: 111, here: () => people.map((user) => [user, undefined]) }));
    for (const user of people) {
      expect(await neighbours.claim(owner(user))).toMatchObject({ name: user });
      neighbours.arrived(user, undefined);
    }
    expect(await neighbours.claim(owner("gone"))).toMatchObject({ name: "gone" });
    // At first "gone" is held, too; then each look goes further.
    await until(async () => typeof (await neighbours.claim(owner("new"))) !== "string");
    for (const user of people) expect(await neighbours.claim(owner(user, "another"))).toBe("taken");
  });
});

test("who was here without a poll does not leave before their process could say that they were seen again", async () => {
  const { store } = await open();
  const { neighbours } = store;
  // It says so every 10 s, at the next of its ticks, and perhaps a little late.
  const [grace, often, tick] = [30_000, 10_000, 1_000];
  neighbours.join(alone({ grace }));
  const before = Date.now();
  neighbours.arrived("ann", grace);
  neighbours.arrived("bob", undefined);
  await neighbours.told();
  for (const user of ["ann", "bob"]) {
    expect(await direct.zScore(`room${room}:here`, user)).toBeGreaterThan(before + grace + often + tick);
  }
});

test("a name is given to the session that replaces its owner's, and two log-ins from one form are one", async () => {
  const { store } = await open();
  const { neighbours } = store;
  neighbours.join(alone());
  const form = "0123456789abcdef";
  const first = owner("ann", `${form}first`);
  expect(await neighbours.claim(first)).toEqual(first);
  expect(await neighbours.claim({ ...owner("ann", `${form}second`), name: "Ann" })).toEqual(first);
  expect(await neighbours.claim(owner("ann", "another"), "no such session")).toBe("taken");
  expect(await neighbours.claim(owner("ann", "another"), first.id)).toMatchObject({ id: "another" });
  expect(await neighbours.claim(owner("ann", `${form}third`), first.id)).toBe("taken");
});

describe("a Redis that hangs", () => {
  test("gives nobody a name whose log-in was refused", async () => {
    const { store } = await open();
    const { neighbours } = store;
    neighbours.join(alone());
    redis.signal("SIGSTOP");
    await expect(neighbours.claim(owner("ann", "refused"))).rejects.toThrow(StoreUnavailable);
    redis.signal("SIGCONT");
    let verdict: unknown;
    await until(async () => {
      verdict = await neighbours.claim(owner("ann", "again")).catch(() => undefined);
      return verdict !== undefined;
    });
    expect(verdict).toMatchObject({ id: "again" });
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
    expect(await direct.xLen(`room${room}:messages`)).toBe(1);
    expect(warnings).toHaveLength(2);
  });
});

describe("the URL", () => {
  test.each([
    "",
    "nonsense",
    "http://127.0.0.1",
    "redis://",
    "redis://user:hunter2@host:port",
    "redis://h/x",
  ])("%j is none, which is told without what was given", (url) => {
    const make = () => new RedisStore({ url, keep: 1, warn: () => {} });
    expect(make).toThrow(/^the URL of a Redis is redis:/);
    expect(make).not.toThrow(/hunter2/);
  });

  test("may carry the room's prefix", async () => {
    const store = new RedisStore({ url: `${redis.url}/0?prefix=talk`, keep: 1, warn: () => {} });
    await store.open(() => {});
    await store.append({ user: "ann", text: "x" });
    await store.close();
    expect(await direct.exists("talk:messages")).toBe(1);
  });
});
