import { expect, test } from "vitest";
import { Appender, type Stored } from "../../src/store/appender.js";
import type { Message, NewMessage } from "../../src/store/store.js";

const MESSAGE = { user: "ann", text: "hi", key: "k" };

function start(keep: number, stored: readonly Stored[] = []) {
  const appender = new Appender();
  const received: Message[] = [];
  appender.start((message) => received.push(message), keep, "5-0", stored);
  const post = (message: NewMessage) => appender.append(message, async (one) => appender.kept(one));
  return { appender, received, post };
}

test("a second post of the same user and key returns the first message", async () => {
  const { post, received } = start(10);
  const first = await post(MESSAGE);
  expect(await post({ ...MESSAGE, text: "other" })).toEqual(first);
  expect(received).toEqual([first]);
});

test("posts of another user, another key and without a key are new messages", async () => {
  const { post, received } = start(10);
  await post(MESSAGE);
  await post({ ...MESSAGE, user: "bob" });
  await post({ ...MESSAGE, key: "l" });
  for (let n = 0; n < 2; n++) await post({ user: "ann", text: "hi" });
  // A user and a key that together look like another pair.
  await post({ user: "a", text: "", key: "nnk" });
  expect(received).toHaveLength(6);
});

test("a post that arrives while the first one of its key is pending waits for it", async () => {
  const { appender } = start(10);
  let finish = () => {};
  const first = appender.append(MESSAGE, () => new Promise<void>((resolve) => (finish = resolve)));
  const second = appender.append(MESSAGE, () => Promise.reject(new Error("a second message")));
  finish();
  expect(await second).toBe(await first);
});

test("when a pending post fails, the one that waits for it fails too, and the next one is new", async () => {
  const { appender, post, received } = start(10);
  let fail = (_: Error) => {};
  const first = appender.append(MESSAGE, () => new Promise<void>((_, reject) => (fail = reject)));
  const second = post(MESSAGE);
  fail(new Error("full"));
  await expect(first).rejects.toThrow("full");
  await expect(second).rejects.toThrow("full");
  expect(received).toEqual([]);
  const third = await post(MESSAGE);
  expect(received).toEqual([third]);
});

test("a key is known for as many messages as are kept, with and without keys, and no longer", async () => {
  const { post } = start(3);
  const first = await post(MESSAGE);
  await post({ ...MESSAGE, key: "l" });
  await post({ user: "ann", text: "hi" });
  expect(await post(MESSAGE)).toEqual(first);
  await post({ user: "ann", text: "hi" });
  const again = await post(MESSAGE);
  expect(again).not.toEqual(first);
  // It belongs to the newer message now.
  await post({ user: "ann", text: "hi" });
  expect(await post(MESSAGE)).toEqual(again);
});

test("the ids and keys of stored messages are known after a start", async () => {
  const message: Message = { id: "9000000000000-7", user: "ann", text: "hi", at: 1 };
  const { post, received } = start(3, [{ message, key: "k" }]);
  expect(await post(MESSAGE)).toEqual(message);
  expect(received).toEqual([]);
  expect((await post({ ...MESSAGE, key: "l" })).id).toBe("9000000000000-8");
});
