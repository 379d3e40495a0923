import { mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FileStore, type Message, StoreUnavailable } from "../../src/index.js";
import { KEEP, linesOf, newFolder, open, post, reopen, segmentsOf } from "../faults/file-store.js";

let folder = "";
beforeEach(() => {
  folder = newFolder();
});
afterEach(() => {
  vi.useRealTimers();
});

const restart = (store: FileStore) => reopen(store, folder);

test("messages and secrets are the same after a restart", async () => {
  const { store } = await open(folder);
  const kept = [
    await store.append({ user: "ann", text: "你好 🙂 \u202eabc\n\"'{}\\" }),
    await store.append({ user: "bob", text: "", kind: "join" }),
    await store.append({ user: "bob", text: "hi", key: "k" }),
  ];
  const again = await restart(store);
  expect([again.messages, again.said, again.store.secrets]).toEqual([kept, [], store.secrets]);
});

test("messages are received in the order in which their posts are answered", async () => {
  const { store, shown } = await open(folder);
  const answered: string[] = [];
  await Promise.all(
    [..."abcdef"].map(async (text) => answered.push((await store.append({ user: "ann", text })).text)),
  );
  expect(shown).toEqual([..."abcdef"]);
  expect(answered).toEqual(shown);
});

test("a post with additional fields keeps only the fields of a message", async () => {
  const { store } = await open(folder);
  const draft = { user: "ann", text: "hi", key: "k", id: "9-9", at: 1, password: "x" };
  expect(Object.keys(await store.append(draft))).toEqual(["id", "user", "text", "at"]);
  expect(Object.keys(JSON.parse(linesOf(folder)[0] ?? ""))).toEqual([
    "id",
    "user",
    "text",
    "at",
    "key",
    "crc",
  ]);
});

test("ids grow over restarts when the clock is set back or ahead", async () => {
  const first = 2_000_000_000_000;
  vi.useFakeTimers({ toFake: ["Date"], now: first });
  let { store } = await open(folder);
  const ids = [(await store.append({ user: "ann", text: "a" })).id];
  for (const now of [1_000_000_000_000, first + 3_600_000, first]) {
    vi.setSystemTime(now);
    ids.push((await store.append({ user: "ann", text: "b" })).id);
    store = (await restart(store)).store;
    ids.push((await store.append({ user: "ann", text: "c" })).id);
  }
  expect(ids).toEqual([
    ...[1, 2, 3].map((n) => `${first}-${n}`),
    ...[0, 1, 2, 3].map((n) => `${first + 3_600_000}-${n}`),
  ]);
});

test("the last pruned id stays the same over restarts, with and without messages", async () => {
  const first = await open(folder);
  const second = await restart(first.store);
  expect(second.lastPrunedId).toBe(first.lastPrunedId);
  await post(second.store, "abc");
  expect((await restart(second.store)).lastPrunedId).toBe(first.lastPrunedId);
});

test("a store keeps the newest messages over segments and restarts, and deletes old segments", async () => {
  let { store } = await open(folder);
  const all: Message[] = [];
  for (let n = 0; n < 40; n++) {
    all.push(await store.append({ user: "ann", text: `${n}` }));
    expect(linesOf(folder).length).toBeLessThan(3 * KEEP);
    if (n % 7 > 0 || n < KEEP) continue;
    const again = await restart(store);
    store = again.store;
    expect(again.messages).toEqual(all.slice(-KEEP));
    expect(again.lastPrunedId).toBe(all.at(-KEEP - 1)?.id);
  }
});

test("a store with a smaller backlog than before keeps the newest messages", async () => {
  const { store } = await open(folder, 100);
  await post(
    store,
    Array.from({ length: 50 }, (_, n) => `${n}`),
  );
  const again = await restart(store);
  expect(again.found).toEqual(["46", "47", "48", "49"]);
  await post(again.store, "abcd");
  await post(again.store, "e");
  expect(linesOf(folder)).toHaveLength(KEEP + 1);
});

test("a store that restarts often has no more segments than messages to keep", async () => {
  let { store } = await open(folder);
  for (let n = 0; n < 20; n++) {
    store = (await restart(store)).store;
    if (n % 3 === 0) await post(store, [`${n}`]);
  }
  expect(segmentsOf(folder).length).toBeLessThanOrEqual(KEEP + 1);
  expect((await restart(store)).found).toEqual(["9", "12", "15", "18"]);
});

test("an idempotency key is known after a restart for as long as its message is kept", async () => {
  const { store } = await open(folder);
  const first = await store.append({ user: "ann", text: "a", key: "k" });
  await post(store, "bcd");
  const again = await restart(store);
  expect(await again.store.append({ user: "ann", text: "a", key: "k" })).toEqual(first);
  expect(again.shown).toEqual([]);
  await post(again.store, "e");
  const last = await restart(again.store);
  expect((await last.store.append({ user: "ann", text: "new", key: "k" })).text).toBe("new");
});

test("a store that is not open refuses posts", async () => {
  const store = new FileStore({ folder });
  expect(store.secrets).toBeUndefined();
  await expect(store.append({ user: "ann", text: "a" })).rejects.toThrow(StoreUnavailable);
  await store.close();
});

test("a store that closes keeps the posts under way and refuses later ones", async () => {
  const { store } = await open(folder);
  const posts = post(store, "abc");
  await store.close();
  expect(await posts).toEqual({ kept: ["a", "b", "c"], refused: [] });
  expect(await post(store, "d")).toEqual({ kept: [], refused: ["d"] });
  await store.close();
  expect((await open(folder)).found).toEqual(["a", "b", "c"]);
});

test("a second store in the same folder fails and changes nothing", async () => {
  const { store } = await open(folder);
  await expect(open(folder)).rejects.toThrow(`cannot keep messages in ${folder}: another process uses it`);
  await post(store, "a");
  expect((await restart(store)).found).toEqual(["a"]);
});

test("a missing folder is made with those above it, for its owner only", async () => {
  const deep = join(folder, "a", "b");
  await open(deep);
  expect(statSync(deep).mode & 0o777).toBe(0o700);
  expect(readdirSync(deep).toSorted()).toEqual([
    expect.stringMatching(/^lock-[0-9a-f]+$/),
    "secret",
    "segment-1.jsonl",
  ]);
  expect(statSync(join(deep, "segment-1.jsonl")).mode & 0o777).toBe(0o600);
});

test.each([
  ["a folder in a segment's place", "", () => mkdirSync(join(folder, "segment-1.jsonl")), "EISDIR"],
  ["a broken secret", "", () => writeFileSync(join(folder, "secret"), "x"), "must hold 64"],
  ["a file in the folder's place", "x", () => writeFileSync(join(folder, "x"), ""), "ENOTDIR"],
  ["a file above the folder", "x/y", () => writeFileSync(join(folder, "x"), ""), "ENOTDIR"],
])(
  "a store that cannot open because of %s rejects with one line and leaves no lock",
  async (_, under, spoil, reason) => {
    spoil();
    const target = join(folder, under);
    const error: unknown = await open(target).catch((error) => error);
    expect(String(error)).toMatch(`Error: cannot keep messages in ${target}: `);
    expect(String(error)).toContain(reason);
    expect(String(error)).not.toContain("\n");
    expect(readdirSync(folder).filter((name) => name.startsWith("lock"))).toEqual([]);
  },
);

test.each([
  [undefined, TypeError, "folder"],
  [{}, TypeError, "folder"],
  [{ folder: "" }, TypeError, "folder"],
  [{ folder: 7 }, TypeError, "folder"],
  [{ folder: "x", warn: "loud" }, TypeError, "warn"],
  [{ folder: "x", keep: 0 }, RangeError, "keep"],
  [{ folder: "x", keep: 1.5 }, RangeError, "keep"],
  [{ folder: "x", keep: "5" }, RangeError, "keep"],
])("a store with wrong options throws an error that names the option: %j", (options, type, name) => {
  const make = () => Reflect.construct(FileStore, [options]);
  expect(make).toThrow(type);
  expect(make).toThrow(name);
});

test.each([
  [undefined, 4, false],
  [4, 4, false],
  [40, 40, false],
  [3, 3, true],
  [41, 41, true],
])(
  "a store whose `keep` is %j and whose chat has a backlog of 4 keeps %i messages, warns: %j",
  async (keep, kept, warns) => {
    const texts = Array.from({ length: 50 }, (_, n) => `${n}`);
    const said: string[] = [];
    const start = async () => {
      const store = new FileStore({ folder, warn: (line) => said.push(line), ...(keep && { keep }) });
      const { messages } = await store.open(() => {}, undefined, 4);
      return { store, found: messages.map(({ text }) => text) };
    };
    const { store } = await start();
    await post(store, texts);
    await store.close();
    const again = await start();
    await again.store.close();
    expect(again.found).toEqual(texts.slice(-kept));
    const line = `${folder}: keep is ${keep}, but the backlog of the chat is 4; better leave keep out`;
    expect(said).toEqual(warns ? [line, line] : []);
  },
);
