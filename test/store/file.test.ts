import { existsSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FileStore } from "../../src/store/file.js";
import { type Message, StoreUnavailable } from "../../src/store/store.js";
import { KEEP, linesOf, newFolder, open, post, reopen } from "../faults/file-store.js";

let folder = "";
let path = "";
beforeEach(() => {
  folder = newFolder();
  path = join(folder, "messages.jsonl");
});
afterEach(() => {
  vi.useRealTimers();
});

const restart = (store: FileStore) => reopen(store, folder);
const lines = () => linesOf(folder);

test("what is kept is there after a restart, as it was", async () => {
  const { store } = await open(folder);
  const kept = [
    await store.append({ user: "ann", text: "你好 🙂 \u202eabc\n\"'{}\\" }),
    await store.append({ user: "bob", text: "", kind: "join" }),
    await store.append({ user: "bob", text: "hi", key: "k" }),
  ];
  const again = await restart(store);
  expect(again.messages).toEqual(kept);
  expect(again.said).toEqual([]);
});

test("the messages are handed on as they are answered, in order", async () => {
  const { store, shown } = await open(folder);
  const answered: string[] = [];
  await Promise.all(
    [..."abcdef"].map(async (text) => answered.push((await store.append({ user: "ann", text })).text)),
  );
  expect(shown).toEqual([..."abcdef"]);
  expect(answered).toEqual(shown);
});

test("nothing but what a message is gets into the file or to anybody", async () => {
  const { store } = await open(folder);
  const draft = { user: "ann", text: "hi", key: "k", id: "9-9", at: 1, password: "x" };
  expect(Object.keys(await store.append(draft))).toEqual(["id", "user", "text", "at"]);
  expect(Object.keys(JSON.parse(lines()[0] ?? ""))).toEqual(["id", "user", "text", "at", "key", "crc"]);
});

test("ids go on after a restart, also when the clock went back", async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: 2_000_000_000_000 });
  const { store } = await open(folder);
  const first = await store.append({ user: "ann", text: "a" });
  expect(first.id).toBe("2000000000000-1");
  vi.setSystemTime(1_000_000_000_000);
  const again = await restart(store);
  const second = await again.store.append({ user: "ann", text: "b" });
  expect(second).toEqual({ id: "2000000000000-2", user: "ann", text: "b", at: 1_000_000_000_000 });
});

test("the floor stays where it was over restarts, with and without messages", async () => {
  const first = await open(folder);
  const second = await restart(first.store);
  expect(second.lastPrunedId).toBe(first.lastPrunedId);
  await post(second.store, "abc");
  expect((await restart(second.store)).lastPrunedId).toBe(first.lastPrunedId);
});

test("the newest messages are kept, and the floor is the id before them, over rewrites and restarts", async () => {
  let { store } = await open(folder);
  const all: Message[] = [];
  for (let n = 0; n < 40; n++) {
    all.push(await store.append({ user: "ann", text: `${n}` }));
    if (n % 7 > 0 || n < KEEP) continue;
    const again = await restart(store);
    store = again.store;
    expect(again.messages).toEqual(all.slice(-KEEP));
    expect(again.lastPrunedId).toBe(all.at(-KEEP - 1)?.id);
  }
  // How soon a rewrite is done is up to the disk; that there were some is not.
  expect(lines().length).toBeLessThan(all.length);
});

test("with a smaller backlog than before, the newest messages are kept and the file is rewritten", async () => {
  const { store } = await open(folder, 100);
  await post(
    store,
    Array.from({ length: 50 }, (_, n) => `${n}`),
  );
  const again = await restart(store);
  expect(again.found).toEqual(["46", "47", "48", "49"]);
  await post(again.store, ["50"]);
  await again.store.close();
  expect(lines()).toHaveLength(KEEP);
});

test("an idempotency key holds over a restart, for as long as its message is kept", async () => {
  const { store } = await open(folder);
  const first = await store.append({ user: "ann", text: "a", key: "k" });
  await post(store, "bcd");
  const again = await restart(store);
  expect(await again.store.append({ user: "ann", text: "again", key: "k" })).toEqual(first);
  expect(again.shown).toEqual([]);
  await post(again.store, "e");
  const last = await restart(again.store);
  expect((await last.store.append({ user: "ann", text: "new", key: "k" })).text).toBe("new");
});

test("two posts of one key that arrive together are one message", async () => {
  const { store, shown } = await open(folder);
  const [first, second] = await Promise.all(
    [1, 2].map(() => store.append({ user: "ann", text: "a", key: "k" })),
  );
  expect(second).toBe(first);
  expect(shown).toEqual(["a"]);
  expect(lines()).toHaveLength(1);
});

test("people stay logged in: the secret is the same after a restart, and its owner's only", async () => {
  const { store } = await open(folder);
  expect(store.secrets[0]).toHaveLength(32);
  expect(statSync(join(folder, "secret")).mode & 0o777).toBe(0o600);
  expect((await restart(store)).store.secrets).toEqual(store.secrets);
});

test("a store that is not open has no secret and takes no post", async () => {
  const store = new FileStore({ folder, keep: KEEP, warn: () => {} });
  expect(() => store.secrets).toThrow("not open");
  await expect(store.append({ user: "ann", text: "a" })).rejects.toThrow(StoreUnavailable);
});

test("closing waits for the posts under way, and takes no more", async () => {
  const { store } = await open(folder);
  const posts = post(store, "abc");
  await store.close();
  expect(await posts).toEqual({ kept: ["a", "b", "c"], refused: [] });
  expect(await post(store, "d")).toEqual({ kept: [], refused: ["d"] });
  expect((await open(folder)).found).toEqual(["a", "b", "c"]);
});

test("a second store in the same folder fails, and harms the first one nothing", async () => {
  const { store } = await open(folder);
  await expect(open(folder)).rejects.toThrow(`cannot keep messages in ${folder}: another process uses it`);
  await post(store, "a");
  expect((await restart(store)).found).toEqual(["a"]);
});

test("the folder and those above it are made, for their owner only", async () => {
  const deep = join(folder, "a", "b");
  await open(deep);
  expect(statSync(deep).mode & 0o777).toBe(0o700);
  expect(readdirSync(deep).toSorted()).toEqual([expect.stringMatching(/^lock-/), "messages.jsonl", "secret"]);
});

test("what a killed rewrite left is cleared away", async () => {
  const { store } = await open(folder);
  writeFileSync(`${path}.new`, "half a file");
  await restart(store);
  expect(existsSync(`${path}.new`)).toBe(false);
});
