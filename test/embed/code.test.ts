/** The host's own code speaks in the room and listens. */
import { expect, onTestFinished, test, vi } from "vitest";
import {
  type ChatBatch,
  type HostMessage,
  MemoryStore,
  type NewMessage,
  type Store,
  StoreUnavailable,
} from "../../src/index.js";
import { chatPerTest, until } from "../wire/chat.js";
import { Person, texts } from "../wire/person.js";

const start = chatPerTest();

/** Reads until so many messages have come. */
async function take(news: AsyncIterable<ChatBatch>, count: number): Promise<string[]> {
  const found: string[] = [];
  for await (const { messages } of news) {
    found.push(...messages.map(({ text }) => text));
    if (found.length >= count) break;
  }
  return found;
}

test("what the host says reaches who waits, and is what post resolves with", async () => {
  const { url, chat } = await start();
  const ann = await Person.login(url, "ann");
  const poll = ann.batch("since=now&wait=60");
  await until(() => chat.waiting === 1);
  const message = await chat.post({ user: "bot", text: "hello" });
  expect(message).toEqual({
    id: expect.stringMatching(/^\d+-\d+$/),
    user: "bot",
    text: "hello",
    at: expect.any(Number),
  });
  expect((await poll).messages).toEqual([message]);
  ann.close();
});

test("a post of the host's with a key is kept once", async () => {
  const { chat } = await start();
  const first = await chat.post({ user: "bot", text: "once", key: "k" });
  expect(await chat.post({ user: "bot", text: "once", key: "k" })).toEqual(first);
  expect(await take(chat.follow({ since: "0" }), 1)).toEqual(["once"]);
});

test.each([
  ["an empty text", { user: "bot", text: "" }, /^text: .*at least one/],
  ["a long text", { user: "bot", text: "x".repeat(2001) }, /^text: .*2000/],
  ["a control character", { user: "bot", text: "\u0007" }, /^text: .*control/],
  ["a name with a slash", { user: "a/b", text: "x" }, /^user: .*slash/],
  ["a long key", { user: "bot", text: "x", key: "k".repeat(65) }, /^key: .*64/],
])("post rejects %s with a RangeError that says the rule", async (_, draft, rule) => {
  const { chat } = await start();
  const error = await chat.post(draft).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(RangeError);
  expect(String(error)).toMatch(new RegExp(`RangeError: ${rule.source.slice(1)}`));
});

test.each([
  ["user", { text: "x" }],
  ["text", { user: "bot" }],
  ["text", { user: "bot", text: 5 }],
  ["key", { user: "bot", text: "x", key: 5 }],
])(
  "post rejects a message whose %s is no text with a TypeError that names it: %j",
  async (field, message) => {
    const { chat } = await start();
    const error = await chat.post(message as HostMessage).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).toMatch(new RegExp(`^TypeError: ${field}: `));
  },
);

test("post rejects with StoreUnavailable when the store cannot keep it, and with an Error once the chat is closed", async () => {
  class FullStore extends MemoryStore {
    override async append(_draft: NewMessage): ReturnType<Store["append"]> {
      throw new StoreUnavailable(new Error("full"));
    }
  }
  const { chat } = await start({ store: new FullStore() });
  await expect(chat.post({ user: "bot", text: "x" })).rejects.toBeInstanceOf(StoreUnavailable);
  await chat.close();
  await expect(chat.post({ user: "bot", text: "x" })).rejects.toThrow("closed");
});

test("a follower hears all that is said after the call, by people and by the host, in order", async () => {
  const { url, chat } = await start();
  await chat.post({ user: "bot", text: "0" });
  const news = chat.follow();
  const ann = await Person.login(url, "ann");
  await ann.post("1");
  await chat.post({ user: "bot", text: "2" });
  const rest = take(news, 3);
  await ann.post("3");
  expect(await rest).toEqual(["1", "2", "3"]);
  ann.close();
});

test("a slow follower loses nothing, and a batch's cursor is good to go on from", async () => {
  const { chat } = await start({ backlog: 5000 });
  const news = chat.follow();
  for (let n = 0; n < 2500; n++) await chat.post({ user: "bot", text: `${n}` });
  const first: IteratorResult<ChatBatch, undefined> = await news.next();
  await news.return?.();
  const rest = await take(chat.follow({ since: first.value?.cursor ?? "" }), 1500);
  const all = [...(first.value?.messages.map(({ text }) => text) ?? []), ...rest];
  expect(all).toEqual(Array.from({ length: 2500 }, (_, n) => `${n}`));
});

test("a follower that is further behind than the backlog is told of a gap", async () => {
  const { chat } = await start({ backlog: 2 });
  const { id } = await chat.post({ user: "bot", text: "0" });
  for (const text of ["1", "2", "3"]) await chat.post({ user: "bot", text });
  const { value } = await chat.follow({ since: id }).next();
  expect(value).toMatchObject({ gap: true, messages: [{ text: "2" }, { text: "3" }] });
});

test("a follower is nobody: not here, not counted, and takes no place", async () => {
  const { url, chat } = await start({ maxWaiters: 1 });
  /** Follows until the message "x". */
  const follow = async () => {
    for await (const { messages } of chat.follow()) if (messages.at(-1)?.text === "x") return messages;
    throw new Error("the follower ended");
  };
  const waits = [follow(), follow()];
  expect([chat.waiting, chat.present]).toEqual([0, []]);
  const ann = await Person.login(url, "ann");
  const poll = ann.batch("since=now&wait=60");
  await until(() => chat.waiting === 1);
  expect(chat.present).toEqual(["ann"]);
  await chat.post({ user: "bot", text: "x" });
  expect(texts(await poll)).toEqual(["x"]);
  expect(await Promise.all(waits)).toHaveLength(2);
  ann.close();
});

test("a follower ends with its signal, before, while it waits, and not twice", async () => {
  const { chat } = await start();
  const ended = new AbortController();
  const news = chat.follow({ signal: ended.signal });
  const waits = [news.next(), news.next()];
  ended.abort();
  for (const wait of waits) expect(await wait).toEqual({ done: true, value: undefined });
  await chat.post({ user: "bot", text: "x" });
  expect(await news.next()).toEqual({ done: true, value: undefined });
  expect(await take(chat.follow({ since: "0", signal: ended.signal }), 1)).toEqual([]);
});

test("a follower ends with return, also while it waits, and leaves no timer", async () => {
  const { chat } = await start();
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const news = chat.follow();
  const wait = news.next();
  await Promise.resolve();
  await news.return?.();
  expect(await wait).toEqual({ done: true, value: undefined });
  expect(vi.getTimerCount()).toBe(0);
});

test("close ends followers, after all that was kept has been handed out", async () => {
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

test.each(["", "x", "1", "1-", "0-0-0"])("follow throws for since: %j", async (since) => {
  const { chat } = await start();
  expect(() => chat.follow({ since })).toThrow(/^since /);
});

test("two chats in one process know nothing of each other", async () => {
  const [one, two] = [await start(), await start()];
  const heard = take(two.chat.follow(), 1);
  await one.chat.post({ user: "bot", text: "in one" });
  await two.chat.post({ user: "bot", text: "in two" });
  expect(await heard).toEqual(["in two"]);
  const ann = await Person.login(one.url, "ann");
  await ann.batch("since=now&wait=0");
  expect([one.chat.present, two.chat.present]).toEqual([["ann"], []]);
  ann.close();
});

test("present is in order, and what is done to it changes nothing", async () => {
  const { url, chat } = await start();
  for (const name of ["ben", "ann", "Zoe"]) {
    const person = await Person.login(url, name);
    await person.batch("since=now&wait=0");
    person.close();
  }
  expect(chat.present).toEqual(["Zoe", "ann", "ben"]);
  (chat.present as string[]).length = 0;
  expect(chat.present).toHaveLength(3);
});

test("close can be asked for twice, and closes the store once", async () => {
  const store = new MemoryStore();
  const close = vi.spyOn(store, "close");
  const { chat } = await start({ store });
  await Promise.all([chat.close(), chat.close()]);
  await chat.close();
  expect(close).toHaveBeenCalledTimes(1);
});

test("what a follower's reader does to its messages is nobody else's", async () => {
  const { url, chat } = await start();
  const ann = await Person.login(url, "ann");
  await chat.post({ user: "bot", text: "hello" });
  const { value } = await chat.follow({ since: "0" }).next();
  const messages: unknown = value?.messages;
  if (!Array.isArray(messages)) throw new Error("no messages");
  messages.length = 0;
  expect(await take(chat.follow({ since: "0" }), 1)).toEqual(["hello"]);
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["hello"]);
  ann.close();
});
