/** What goes wrong around the message file: its folder goes away, a rewrite fails, keys meet refused posts. */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { broken, disk, failing, full } from "./file-disk.js";
import { KEEP, newFolder, open, post } from "./file-store.js";

vi.mock("node:fs/promises", async (original) =>
  (await import("./file-disk.js")).held(await original<object>()),
);

let folder = "";
beforeEach(() => {
  folder = newFolder();
});
afterEach(() => disk.reset());

test("when its folder is deleted posts are refused; when it is back, everything is in it again", async () => {
  const { store, nextSaid } = await open(folder);
  await post(store, ["a", "b"]);
  const secret = readFileSync(join(folder, "secret"));
  rmSync(folder, { recursive: true });
  expect(await post(store, ["c"])).toEqual({ kept: [], refused: ["c"] });
  expect(await post(store, ["d"])).toEqual({ kept: [], refused: ["d"] });
  expect(store.writable).toBe(false);
  expect(existsSync(folder)).toBe(false);
  const said = nextSaid();
  mkdirSync(folder);
  expect(await said).toMatch("messages are kept again");
  expect(await post(store, ["e"])).toEqual({ kept: ["e"], refused: [] });
  expect(readFileSync(join(folder, "secret"))).toEqual(secret);
  await expect(open(folder)).rejects.toThrow("another process uses it");
  await store.close();
  expect((await open(folder)).found).toEqual(["a", "b", "e"]);
});

test("when its folder is moved away and back, nothing is lost", async () => {
  const { store } = await open(folder);
  await post(store, ["a"]);
  renameSync(folder, `${folder}-elsewhere`);
  expect(await post(store, ["b"])).toEqual({ kept: [], refused: ["b"] });
  renameSync(`${folder}-elsewhere`, folder);
  expect(await post(store, ["c"])).toEqual({ kept: ["c"], refused: [] });
  await store.close();
  expect((await open(folder)).found).toEqual(["a", "c"]);
});

test.each(["open", "appendFile", "rename"])(
  "a rewrite that fails (in %s) costs no post, leaves nothing behind, and is tried again",
  async (call) => {
    // Opened once more, so that only the file of the rewrite goes by the name of a new one.
    await (await open(folder)).store.close();
    const { store, said, nextSaid } = await open(folder);
    const next = nextSaid();
    disk.around = (step, run) =>
      step.call === call && step.file === "messages.jsonl.new" ? full(step, run) : run();
    for (const text of "abcdefghi") expect((await post(store, [text])).kept).toEqual([text]);
    expect(await next).toMatch("messages.jsonl: not rewritten, and growing on: ENOSPC");
    expect(readdirSync(folder)).not.toContain("messages.jsonl.new");
    disk.reset();
    for (const text of "jklmnopqr") expect((await post(store, [text])).kept).toEqual([text]);
    await store.close();
    expect(said).toHaveLength(1);
    expect(store.writable).toBe(true);
    expect(readFileSync(join(folder, "messages.jsonl"), "utf8").split("\n").length).toBeLessThan(12);
    expect((await open(folder)).found).toEqual([..."opqr"]);
  },
);

test("when the folder cannot be synced after a rewrite, nothing is kept until it can", async () => {
  const { store, nextSaid } = await open(folder);
  const next = nextSaid();
  disk.around = (step, run) => (step.call === "sync" ? broken(step, run) : run());
  for (const text of "abcdefghi") expect((await post(store, [text])).kept).toEqual([text]);
  expect(await next).toMatch("not rewritten, and growing on: EIO");
  expect(await post(store, ["j"])).toEqual({ kept: [], refused: ["j"] });
  disk.reset();
  expect(await post(store, ["k"])).toEqual({ kept: ["k"], refused: [] });
  await store.close();
  expect((await open(folder)).found).toEqual([..."ghik"]);
});

test("written anew twice, the file still knows what was before its first message", async () => {
  const { store } = await open(folder);
  let last = "";
  for (const text of "abcde") last = (await store.append({ user: "ann", text })).id;
  const rewritten = new Promise((resolve) => {
    disk.around = async (step, run) => {
      const result = await run();
      if (step.call === "sync") resolve(undefined);
      return result;
    };
  });
  await post(store, "fghi");
  await rewritten;
  // Again, with nothing to leave out this time.
  failing(["datasync"], broken);
  expect((await post(store, ["refused"])).kept).toEqual([]);
  disk.reset();
  await post(store, ["j"]);
  await store.close();
  const { found, floor } = await open(folder, 10);
  expect([found, floor]).toEqual([[..."fghij"], last]);
});

test("another file that is put in its place is seen, and nothing that was kept is lost", async () => {
  const { store, said } = await open(folder);
  await post(store, ["a"]);
  const path = join(folder, "messages.jsonl");
  writeFileSync(`${path}.edited`, readFileSync(path));
  renameSync(`${path}.edited`, path);
  expect(await post(store, ["b"])).toEqual({ kept: [], refused: ["b"] });
  expect(said).toEqual([expect.stringContaining(`${path} is another file now`)]);
  expect(await post(store, ["c"])).toEqual({ kept: ["c"], refused: [] });
  await store.close();
  expect((await open(folder)).found).toEqual(["a", "c"]);
});

test("what somebody else writes to the file is seen, and nothing that was kept is lost", async () => {
  const { store, said } = await open(folder);
  await post(store, ["a"]);
  const path = join(folder, "messages.jsonl");
  appendFileSync(path, "a note\n");
  expect(await post(store, ["b"])).toEqual({ kept: [], refused: ["b"] });
  expect(said).toEqual([expect.stringContaining(`${path} was written to by somebody else`)]);
  expect(await post(store, ["c"])).toEqual({ kept: ["c"], refused: [] });
  await store.close();
  expect((await open(folder)).found).toEqual(["a", "c"]);
});

test("posts go on while the file is being rewritten, and a failing sync of theirs meanwhile loses nothing", async () => {
  // Opened once more, so that only the file of the rewrite goes by the name of a new one.
  await (await open(folder)).store.close();
  const { store } = await open(folder);
  let drafted: (value?: unknown) => void = () => {};
  const drafting = new Promise((begun) =>
    failing(["datasync"], async (step, run) => {
      if (step.file !== "messages.jsonl.new") return run();
      begun(undefined);
      await new Promise((resolve) => (drafted = resolve));
      return run();
    }),
  );
  for (const text of "abcdefghi") await post(store, [text]);
  await drafting;
  expect(await post(store, ["j"])).toEqual({ kept: ["j"], refused: [] });
  const slow = disk.around;
  disk.around = (step, run) => (step.call === "datasync" ? broken(step, run) : run());
  expect(await post(store, ["k"])).toEqual({ kept: [], refused: ["k"] });
  disk.around = slow;
  const last = post(store, ["l"]);
  disk.reset();
  drafted();
  expect(await last).toEqual({ kept: ["l"], refused: [] });
  await store.close();
  expect((await open(folder)).found).toEqual([..."hijl"]);
});

test("of two posts with one key that are together, neither is kept when the first one fails", async () => {
  const { store, shown } = await open(folder);
  const twice = () => ["first", "second"].map((text) => store.append({ user: "ann", text, key: "k" }));
  failing(["datasync"], broken);
  const outcomes = await Promise.allSettled(twice());
  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  disk.reset();
  const [first, second] = await Promise.all(twice());
  expect(second).toBe(first);
  expect(shown).toEqual(["first"]);
});

test("refused posts push no idempotency key out of memory", async () => {
  const { store } = await open(folder);
  const first = await store.append({ user: "ann", text: "a", key: "k" });
  failing(["appendFile"], full);
  for (let n = 0; n < 2 * KEEP; n++) await post(store, ["b"]);
  disk.reset();
  expect(await store.append({ user: "ann", text: "again", key: "k" })).toBe(first);
});

test("damage that cannot be set aside stops the start, and stays as it is", async () => {
  const { store } = await open(folder);
  await post(store, ["a", "b"]);
  await store.close();
  const path = join(folder, "messages.jsonl");
  const damaged = readFileSync(path, "utf8").replace('"a"', '"x"');
  writeFileSync(path, damaged);
  disk.around = (step, run) => (step.call === "link" || step.call === "copyFile" ? broken(step, run) : run());
  await expect(open(folder)).rejects.toThrow("EIO");
  expect(readFileSync(path, "utf8")).toBe(damaged);
  disk.around = (step, run) => (step.call === "link" ? broken(step, run) : run());
  expect((await open(folder)).found).toEqual(["b"]);
  const aside = readdirSync(folder).find((name) => name.includes("damaged")) ?? "";
  expect(readFileSync(join(folder, aside), "utf8")).toBe(damaged);
});
