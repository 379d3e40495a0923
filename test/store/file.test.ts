/** The file store without faults: what it keeps, under which ids and keys, with which secrets, files and lock. */
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
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
  let { store } = first;
  const all: Message[] = [];
  for (let n = 0; n < 40; n++) {
    all.push(await store.append({ user: "ann", text: `${n}` }));
    expect(linesOf(folder).length).toBeLessThan(3 * KEEP);
    if (n % 7 > 0) continue;
    // Each start begins a segment.
    for (let starts = 1; starts < 2 * KEEP; starts++) store = (await restart(store)).store;
    const again = await restart(store);
    store = again.store;
    expect(again.messages).toEqual(all.slice(-KEEP));
    expect(again.lastPrunedId).toBe(all.at(-KEEP - 1)?.id ?? first.lastPrunedId);
    expect(segmentsOf(folder).length).toBeLessThanOrEqual(KEEP + 1);
  }
});

test("a segment of more than 16 MiB ends, because a start reads a segment as one text", async () => {
  const { store } = await open(folder, 10_000);
  const text = "界".repeat(2_000);
  for (let batch = 0; batch < 10; batch++) await post(store, Array(400).fill(text));
  const sizes = segmentsOf(folder).map((path) => statSync(path).size);
  expect(sizes.length).toBeGreaterThan(1);
  expect(Math.max(...sizes)).toBeLessThan(20 * 1024 * 1024);
  await store.close();
  expect((await open(folder, 10_000)).messages).toHaveLength(4_000);
});

test("a store keeps one message for each user and key, as long as it is kept, and no other field", async () => {
  const { store, shown } = await open(folder, 3);
  const say = (user: string, key?: string) => {
    const draft = { user, text: `${user} ${key}`, ...(key && { key }), id: "9-9", at: 1, password: "x" };
    return store.append(draft);
  };
  const first = await say("ann", "k");
  const fields = ["id", "user", "text", "at"];
  expect(Object.keys(first)).toEqual(fields);
  expect(Object.keys(JSON.parse(linesOf(folder)[0] ?? ""))).toEqual([...fields, "key", "crc"]);
  // The last one is a user and a key that together look like another pair.
  for (const [user, key] of ["bob k", "ann l", "a nnk"].map((pair) => pair.split(" ")))
    await say(user ?? "", key);
  expect(await say("ann", "k")).not.toBe(first);
  const again = await say("ann", "k");
  await say("ann");
  // The key belongs to the newer message now.
  expect(await say("ann", "k")).toBe(again);
  expect(shown).toEqual(["ann k", "bob k", "ann l", "a nnk", "ann k", "ann undefined"]);
});

test("a store keeps the posts under way when it closes, and refuses others before and after", async () => {
  const early = new FileStore({ folder });
  expect(early.secrets).toBeUndefined();
  await expect(early.append({ user: "ann", text: "a" })).rejects.toThrow(StoreUnavailable);
  await early.close();
  const { store, said } = await open(folder);
  const posts = post(store, "abc");
  await store.close();
  expect(await posts).toEqual({ kept: ["a", "b", "c"], refused: [] });
  expect(await post(store, "d")).toEqual({ kept: [], refused: ["d"] });
  expect([(await restart(store)).found, said]).toEqual([["a", "b", "c"], []]);
});

test("a store that could not be opened is opened by a second attempt", async () => {
  await (await open(folder)).store.close();
  const store = new FileStore({ folder, warn: () => {} });
  mkdirSync(join(folder, "segment-2.jsonl"));
  await expect(store.open(() => {})).rejects.toThrow("EISDIR");
  rmSync(join(folder, "segment-2.jsonl"), { recursive: true });
  await store.open(() => {});
  expect(await store.append({ user: "ann", text: "kept" })).toMatchObject({ text: "kept" });
  await store.close();
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
  expect(readFileSync(path, "utf8")).toBe(`${secret?.toString("hex")}\n`);
  // A new secret comes first, and the mode is as after a restored backup.
  writeFileSync(path, `${"ab".repeat(32)}\n${secret?.toString("hex")}\n`);
  chmodSync(path, 0o644);
  const again = await restart(store);
  expect(again.store.secrets).toEqual([Buffer.from("ab".repeat(32), "hex"), secret]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).not.toContain("secret.new");
  rmSync(path);
  expect((await restart(again.store)).store.secrets).not.toEqual([secret]);
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
  [{ folder: "" }, TypeError, "folder"],
  [{ folder: 7 }, TypeError, "folder"],
  [{ folder: "x", warn: "loud" }, TypeError, "warn"],
  [{ folder: "x", keep: 0 }, RangeError, "keep"],
  [{ folder: "x", keep: "5" }, RangeError, "keep"],
])("a store with wrong options throws an error that names the option: %j", (options, type, name) => {
  const make = () => Reflect.construct(FileStore, [options]);
  expect(make).toThrow(type);
  expect(make).toThrow(name);
});

test.each([
  [undefined, 4, false],
  [40, 40, false],
  [3, 3, true],
  [41, 41, true],
])(
  "a store with the `keep` %j and a backlog of 4 keeps %i messages, warns: %j",
  async (keep, kept, warns) => {
    const texts = Array.from({ length: 50 }, (_, n) => `${n}`);
    const options = keep === undefined ? {} : { keep };
    const { store } = await open(folder, 4, options);
    await post(store, texts);
    await store.close();
    const { found, said } = await open(folder, 4, options);
    expect(found).toEqual(texts.slice(-kept));
    const line = `${folder}: keep is ${keep}, but the backlog of the chat is 4; better leave keep out`;
    expect(said).toEqual(warns ? [line] : []);
  },
);

test("of five stores that open at once, one succeeds, and its end leaves no lock", async () => {
  const locks = () => readdirSync(folder).filter((name) => name.startsWith("lock-"));
  for (let round = 0; round < 50; round++) {
    const outcomes = await Promise.all([1, 2, 3, 4, 5].map(() => open(folder).catch(() => undefined)));
    const opened = outcomes.filter((one) => one !== undefined);
    expect([opened.length, locks().length]).toEqual([1, 1]);
    await opened[0]?.store.close();
    expect(locks()).toEqual([]);
  }
});

test("a lock deletes the lock files of dead processes, and nothing else", async () => {
  // Nobody listens on a plain file either.
  for (const name of ["lock-0123456789ab", "lock-other"]) writeFileSync(join(folder, name), "");
  await open(folder);
  const locks = readdirSync(folder).filter((name) => name.startsWith("lock-"));
  expect(locks.toSorted()).toEqual([
    expect.stringMatching(/^lock-(?!0123456789ab)[0-9a-f]{12}$/),
    "lock-other",
  ]);
});

test("a folder is locked under each of its paths, also if they are too long for a socket", async () => {
  const deep = join(folder, "deep".repeat(20), "down".repeat(20));
  await open(deep);
  // It may belong to a process that is about to listen, so a process that does not listen itself keeps it.
  writeFileSync(join(deep, "lock-00"), "");
  for (const path of [deep, `${deep}/../${"down".repeat(20)}`])
    await expect(open(path)).rejects.toThrow("another process uses it");
  expect(readdirSync(deep)).toContain("lock-00");
});
