/** The file store without faults: what it keeps, under which ids and keys, with which secrets and files. */
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FileStore, MemoryStore, type Message, StoreUnavailable } from "../../src/index.js";
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
  expect([shown, answered]).toEqual([[..."abcdef"], [..."abcdef"]]);
});

test("a post with additional fields keeps only the fields of a message", async () => {
  const { store } = await open(folder);
  const draft = { user: "ann", text: "hi", key: "k", id: "9-9", at: 1, password: "x" };
  expect(Object.keys(await store.append(draft))).toEqual(["id", "user", "text", "at"]);
  const fields = Object.keys(JSON.parse(linesOf(folder)[0] ?? ""));
  expect(fields).toEqual(["id", "user", "text", "at", "key", "crc"]);
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

test("a store keeps the newest messages over segments and restarts, and deletes old segments", async () => {
  const first = await open(folder);
  let store = (await restart(first.store)).store;
  const all: Message[] = [];
  for (let n = 0; n < 40; n++) {
    all.push(await store.append({ user: "ann", text: `${n}` }));
    expect(linesOf(folder).length).toBeLessThan(3 * KEEP);
    if (n % 7 > 0) continue;
    const again = await restart(store);
    store = again.store;
    expect(again.messages).toEqual(all.slice(-KEEP));
    expect(again.lastPrunedId).toBe(all.at(-KEEP - 1)?.id ?? first.lastPrunedId);
  }
});

test("a store with a smaller backlog than before keeps the newest messages", async () => {
  const { store } = await open(folder, 100);
  await post(store, "a".repeat(50));
  await post(store, "wxyz");
  const again = await restart(store);
  expect(again.found).toEqual([..."wxyz"]);
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

test.each([
  ["a store in memory", () => new MemoryStore()],
  ["a file store", () => new FileStore({ folder })],
])("%s keeps one message for each user and key, as long as it is kept", async (_, make) => {
  const store = make();
  const received: Message[] = [];
  await store.open((message) => received.push(message), undefined, KEEP);
  const say = (user: string, key?: string) => store.append({ user, text: "hi", ...(key && { key }) });
  const first = await say("ann", "k");
  const others = [await say("bob", "k"), await say("ann", "l")];
  // A user and a key that together look like another pair.
  others.push(await say("a", "nnk"));
  expect(await say("ann", "k")).toEqual(first);
  expect(received).toEqual([first, ...others]);
  await say("ann");
  const again = await say("ann", "k");
  expect(again.id).not.toBe(first.id);
  await say("ann");
  // The key belongs to the newer message now.
  expect(await say("ann", "k")).toEqual(again);
  await store.close();
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
  const { store, said } = await open(folder);
  const posts = post(store, "abc");
  await store.close();
  expect(await posts).toEqual({ kept: ["a", "b", "c"], refused: [] });
  expect(await post(store, "d")).toEqual({ kept: [], refused: ["d"] });
  await store.close();
  expect([(await open(folder)).found, said]).toEqual([["a", "b", "c"], []]);
});

test("a missing folder is made with those above it, for its owner only", async () => {
  const deep = join(folder, "a", "b");
  await open(deep);
  const names = [expect.stringMatching(/^lock-[0-9a-f]+$/), "secret", "segment-1.jsonl"];
  expect(readdirSync(deep).toSorted()).toEqual(names);
  const modes = [deep, join(deep, "secret"), join(deep, "segment-1.jsonl")].map(
    (path) => statSync(path).mode,
  );
  expect(modes.map((mode) => mode & 0o777)).toEqual([0o700, 0o600, 0o600]);
});

test("a secret is made once, also after a crash left a part of one, and stays unreadable for others", async () => {
  const path = join(folder, "secret");
  writeFileSync(`${path}.new`, "half a sec", { mode: 0o644 });
  const { store } = await open(folder);
  const [secret] = store.secrets ?? [];
  expect(secret).toHaveLength(32);
  expect(readFileSync(path, "utf8")).toBe(`${secret?.toString("hex")}\n`);
  // As after a restored backup.
  chmodSync(path, 0o644);
  const again = await restart(store);
  expect(again.store.secrets).toEqual([secret]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).not.toContain("secret.new");
  rmSync(path);
  expect((await restart(again.store)).store.secrets).not.toEqual([secret]);
});

test("several lines of the secret file are several secrets, the first one first", async () => {
  writeFileSync(join(folder, "secret"), `${"ab".repeat(32)}\n${"cd".repeat(32)}\n`);
  const { store } = await open(folder);
  const secrets = store.secrets?.map((secret) => secret.toString("hex"));
  expect(secrets).toEqual(["ab".repeat(32), "cd".repeat(32)]);
});

const secretOf = (text: string) => () => writeFileSync(join(folder, "secret"), text);

test.each([
  ["a folder in a segment's place", "", () => mkdirSync(join(folder, "segment-1.jsonl")), "EISDIR"],
  ["a folder in the secret's place", "", () => mkdirSync(join(folder, "secret")), "EISDIR"],
  ["an empty secret", "", secretOf(""), "must hold 64 hexadecimal digits a line; delete it"],
  ["a short secret", "", secretOf(`${"ab".repeat(32)}\n${"ab".repeat(31)}\n`), "must hold 64"],
  ["a long secret", "", secretOf("ab".repeat(33)), "must hold 64"],
  ["a secret that is not hexadecimal", "", secretOf("xy".repeat(32)), "must hold 64"],
  ["a file in the folder's place", "x", () => writeFileSync(join(folder, "x"), ""), "ENOTDIR"],
  ["a file above the folder", "x/y", () => writeFileSync(join(folder, "x"), ""), "ENOTDIR"],
])("a store that cannot open because of %s rejects with one line, leaves no lock", async (...row) => {
  const [, under, spoil, reason] = row;
  spoil();
  const target = join(folder, under);
  const error: unknown = await open(target).catch((error) => error);
  expect(String(error)).toMatch(`Error: cannot keep messages in ${target}: `);
  expect(String(error)).toContain(reason);
  expect(String(error)).not.toContain("\n");
  expect(readdirSync(folder).filter((name) => name.startsWith("lock"))).toEqual([]);
});

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
