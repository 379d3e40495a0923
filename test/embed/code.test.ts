/** The host's own code posts to the room and follows it. */
import { expect, test, vi } from "vitest";
import { type ChatBatch, type HostMessage, MemoryStore, StoreUnavailable } from "../../src/index.js";
import { FaultyStore, roomPerTest, until } from "../wire/chat.js";
import { texts } from "../wire/person.js";

const start = roomPerTest();

/** Reads `count` messages. */
async function take(batches: AsyncIterable<ChatBatch>, count: number): Promise<string[]> {
  const found: string[] = [];
  for await (const { messages } of batches) {
    found.push(...messages.map(({ text }) => text));
    if (found.length >= count) break;
  }
  return found;
}

test("a message of the host answers a held poll, and post resolves with it", async () => {
  const { ann, chat } = await start();
  const poll = ann.batch("since=now&wait=60");
  await until(() => chat.waiting === 1);
  const message = await chat.post({ user: "bot", text: "hello" });
  const [id, at] = [expect.stringMatching(/^\d+-\d+$/), expect.any(Number)];
  expect(message).toEqual({ id, user: "bot", text: "hello", at });
  // The batch may begin with Ann's own join notice.
  expect((await poll).messages.at(-1)).toEqual(message);
});

const tooLong = "x".repeat(2001);
test.each<[string, object, typeof RangeError | typeof TypeError]>([
  ["^text: .*at least one", { user: "bot", text: "" }, RangeError],
  ["^text: .*2000", { user: "bot", text: tooLong }, RangeError],
  ["^text: .*control", { user: "bot", text: "\u0007" }, RangeError],
  ["^user: .*slash", { user: "a/b", text: "x" }, RangeError],
  ["^key: .*64", { user: "bot", text: "x", key: tooLong }, RangeError],
  ["^user: ", { text: "x" }, TypeError],
  ["^text: ", { user: "bot" }, TypeError],
  ["^text: ", { user: "bot", text: 5 }, TypeError],
  ["^key: ", { user: "bot", text: "x", key: 5 }, TypeError],
])("post rejects a wrong message with an error %s that names the field", async (rule, message, type) => {
  const { chat } = await start();
  const error = await chat.post(message as HostMessage).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(type);
  expect((error as Error).message).toMatch(new RegExp(rule));
});

test("post rejects with StoreUnavailable if the store fails, and with an Error after close", async () => {
  const { chat } = await start({ store: new FaultyStore(() => new StoreUnavailable("full")) });
  await expect(chat.post({ user: "bot", text: "x" })).rejects.toBeInstanceOf(StoreUnavailable);
  await chat.close();
  await expect(chat.post({ user: "bot", text: "x" })).rejects.toThrow("closed");
});

test("a follower gets all messages after the call in order, from members and from the host", async () => {
  const { ann, chat } = await start();
  await chat.post({ user: "bot", text: "0" });
  const batches = chat.follow();
  await ann.post("1");
  await chat.post({ user: "bot", text: "2" });
  const rest = take(batches, 3);
  await ann.post("3");
  expect(await rest).toEqual(["1", "2", "3"]);
});

test("a follower gets a gap, and ends with its signal and with return", async () => {
  const { chat } = await start({ backlog: 2 });
  const { id } = await chat.post({ user: "bot", text: "0" });
  for (const text of ["1", "2", "3"]) await chat.post({ user: "bot", text });
  const { value } = await chat.follow({ since: id }).next();
  expect(value).toMatchObject({ gap: true, messages: [{ text: "2" }, { text: "3" }] });
  const ended = new AbortController();
  const [one, two] = [chat.follow({ signal: ended.signal }), chat.follow({ since: "0" })];
  const wait = one.next();
  ended.abort();
  expect(await two.next()).toMatchObject({ done: false });
  await two.return?.();
  for (const end of [wait, two.next()]) expect(await end).toEqual({ done: true, value: undefined });
});

test("a follower is not present, is not counted as waiting, and takes no slot", async () => {
  const { ann, chat } = await start({ maxWaiters: 1 });
  /** Follows until the message "x". */
  const follow = async () => {
    for await (const { messages } of chat.follow()) if (messages.at(-1)?.text === "x") return messages;
    throw new Error("the follower ended");
  };
  const waits = [follow(), follow()];
  expect([chat.waiting, chat.present]).toEqual([0, []]);
  const poll = ann.batch("since=now&wait=60");
  await until(() => chat.waiting === 1);
  expect(chat.present).toEqual(["ann"]);
  await chat.post({ user: "bot", text: "x" });
  expect(texts(await poll)).toEqual(["x"]);
  expect(await Promise.all(waits)).toHaveLength(2);
});

test("close ends the followers after they got everything that was kept", async () => {
  const { chat } = await start();
  const idle = await start();
  const waits = idle.chat.follow().next();
  await idle.chat.close();
  expect(await waits).toEqual({ done: true, value: undefined });
  const [quick, slow] = [chat.follow(), chat.follow()];
  const wait = quick.next();
  const late = chat.post({ user: "bot", text: "last" });
  const closed = chat.close();
  expect((await wait).value?.messages.at(-1)?.text).toBe("last");
  await Promise.all([late, closed]);
  expect(await quick.next()).toEqual({ done: true, value: undefined });
  expect(await take(slow, 2)).toEqual(["last"]);
  expect(await chat.follow({ since: "0" }).next()).toMatchObject({ value: { messages: [{ text: "last" }] } });
});

test("follow throws an error for text that is no cursor", async () => {
  const { chat } = await start();
  for (const since of ["", "x", "1", "1-", "0-0-0"]) expect(() => chat.follow({ since })).toThrow(/^since /);
});

test("two chats in one process are independent", async () => {
  const [one, two] = [await start(), await start()];
  const inTwo = take(two.chat.follow(), 1);
  await one.chat.post({ user: "bot", text: "in one" });
  await two.chat.post({ user: "bot", text: "in two" });
  expect(await inTwo).toEqual(["in two"]);
  await one.ann.end();
  expect([one.chat.present, two.chat.present]).toEqual([["ann"], []]);
});

test("present is a sorted copy of the names", async () => {
  const { ann, bob, chat } = await start();
  for (const person of [bob, ann]) await person.end();
  expect(chat.present).toEqual(["ann", "bob"]);
  (chat.present as string[]).length = 0;
  expect(chat.present).toHaveLength(2);
});

test("two calls of close close the store once", async () => {
  const store = new MemoryStore();
  const close = vi.spyOn(store, "close");
  const { chat } = await start({ store });
  await Promise.all([chat.close(), chat.close()]);
  expect(close).toHaveBeenCalledTimes(1);
});

test("a follower that changes its batch changes no other batch", async () => {
  const { ann, chat } = await start();
  await chat.post({ user: "bot", text: "hello" });
  const { value } = await chat.follow({ since: "0" }).next();
  const messages: unknown = value?.messages;
  if (!Array.isArray(messages)) throw new Error("no messages");
  messages.length = 0;
  expect(await take(chat.follow({ since: "0" }), 1)).toEqual(["hello"]);
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["hello"]);
});
