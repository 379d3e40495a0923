import { expect, test } from "vitest";
import { IdempotencyKeys } from "../../src/store/idempotency.js";
import type { Message, NewMessage } from "../../src/store/store.js";

let n = 0;
function message(user = "ann"): Message {
  return { id: `${++n}-0`, user, text: "hi", at: n };
}

/** Posts with a key, keeps at once; gives the message and whether it is new. */
async function post(keys: IdempotencyKeys, draft: NewMessage): Promise<{ id: string; isNew: boolean }> {
  let isNew = false;
  const { id } = await keys.once(draft, async () => {
    isNew = true;
    const kept = message(draft.user);
    keys.keep(kept, draft.key);
    return kept;
  });
  return { id, isNew };
}

const draft = { user: "ann", text: "hi", key: "k" };

test("a second draft of the same user and key is the first message again", async () => {
  const keys = new IdempotencyKeys(10);
  const first = await post(keys, draft);
  expect(await post(keys, draft)).toEqual({ id: first.id, isNew: false });
});

test("another user's key, another key, and none at all, are new messages", async () => {
  const keys = new IdempotencyKeys(10);
  await post(keys, draft);
  expect((await post(keys, { ...draft, user: "bob" })).isNew).toBe(true);
  expect((await post(keys, { ...draft, key: "l" })).isNew).toBe(true);
  expect((await post(keys, { user: "ann", text: "hi" })).isNew).toBe(true);
  expect((await post(keys, { user: "ann", text: "hi" })).isNew).toBe(true);
});

test("no user and key are taken for another user and key", async () => {
  const keys = new IdempotencyKeys(10);
  await post(keys, { user: 'a","b', text: "", key: "c" });
  expect((await post(keys, { user: "a", text: "", key: 'b","c' })).isNew).toBe(true);
});

test("a draft that comes while the first is on its way waits for it", async () => {
  const keys = new IdempotencyKeys(10);
  let finish: (kept: Message) => void = () => {};
  const first = keys.once(draft, () => new Promise((resolve) => (finish = resolve)));
  const second = keys.once(draft, () => Promise.reject(new Error("a second append")));
  const kept = message();
  finish(kept);
  expect(await first).toBe(kept);
  expect(await second).toBe(kept);
});

test("when the first fails the one that waits for it fails too, and the next one is new", async () => {
  const keys = new IdempotencyKeys(10);
  let fail: (error: Error) => void = () => {};
  const first = keys.once(draft, () => new Promise((_, reject) => (fail = reject)));
  const second = keys.once(draft, () => Promise.resolve(message()));
  fail(new Error("full"));
  await expect(first).rejects.toThrow("full");
  await expect(second).rejects.toThrow("full");
  expect((await post(keys, draft)).isNew).toBe(true);
});

test("a key is remembered for as many messages as are kept, with or without keys, and no longer", async () => {
  const keys = new IdempotencyKeys(3);
  const first = await post(keys, draft);
  for (let i = 0; i < 2; i++) keys.keep(message(), i === 0 ? "other" : undefined);
  expect(await post(keys, draft)).toEqual({ id: first.id, isNew: false });
  keys.keep(message(), undefined);
  expect((await post(keys, draft)).isNew).toBe(true);
});

test("a key that is used again, long after, belongs to the newer message", async () => {
  const keys = new IdempotencyKeys(2);
  for (const key of ["k", "l", "m", "k", "n"]) keys.keep(message(), key);
  expect((await post(keys, draft)).isNew).toBe(false);
  expect((await post(keys, draft)).id).toBe(`${n - 1}-0`);
});
