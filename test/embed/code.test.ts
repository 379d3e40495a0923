/** The host's own code: options, posting to the room, and following it. */
import { expect, test, vi } from "vitest";
import type { Batch, Cursor } from "../../src/feed/index.js";
import type { ChatOptions, HostMessage, Message } from "../../src/index.js";
import { createChat, StoreUnavailable } from "../../src/index.js";
import { FaultyStore, startRoom as start, until } from "../wire/chat.js";
import { texts } from "../wire/person.js";

/** Reads `count` messages. */
async function take(batches: AsyncIterable<Batch<Message>>, count: number): Promise<string[]> {
  const found: string[] = [];
  for await (const { events } of batches) {
    found.push(...events.map(({ text }) => text));
    if (found.length >= count) break;
  }
  return found;
}

test("post rejects a wrong message with an error that names the field", async () => {
  const { chat } = await start();
  const tooLong = "x".repeat(2001);
  for (const [rule, message, type] of [
    [/^text: .*at least one/, { user: "bot", text: "" }, RangeError],
    [/^text: .*2000/, { user: "bot", text: tooLong }, RangeError],
    [/^text: .*control/, { user: "bot", text: "\u0007" }, RangeError],
    [/^user: .*slash/, { user: "a/b", text: "x" }, RangeError],
    [/^key: .*64/, { user: "bot", text: "x", key: tooLong }, RangeError],
    [/^user: /, { text: "x" }, TypeError],
    [/^text: /, { user: "bot", text: 5 }, TypeError],
    [/^key: /, { user: "bot", text: "x", key: 5 }, TypeError],
  ] as const) {
    const error: unknown = await chat.post(message as HostMessage).catch((reason) => reason);
    expect(error).toBeInstanceOf(type);
    expect((error as Error).message).toMatch(rule);
  }
});

test("post rejects with StoreUnavailable if the store fails, and with an Error after close", async () => {
  const store = new FaultyStore(() => new StoreUnavailable("full"));
  const close = vi.spyOn(store, "close");
  const { chat } = await start({ store });
  await expect(chat.post({ user: "bot", text: "x" })).rejects.toBeInstanceOf(StoreUnavailable);
  await Promise.all([chat.close(), chat.close()]);
  expect(close).toHaveBeenCalledTimes(1);
  await expect(chat.post({ user: "bot", text: "x" })).rejects.toThrow("stopping");
});

test("a follower gets all messages after the call in order, is not present, and takes no slot", async () => {
  const { ann, chat } = await start({ maxWaiters: 1 });
  const message = await chat.post({ user: "bot", text: "0" });
  const [id, at] = [expect.stringMatching(/^\d+-\d+$/), expect.any(Number)];
  expect(message).toEqual({ id, user: "bot", text: "0", at });
  const batches = chat.follow();
  await ann.post("1");
  await chat.post({ user: "bot", text: "2" });
  const rest = take(batches, 4);
  expect([chat.waiting, chat.present]).toEqual([0, []]);
  const poll = ann.poll("since=now&wait=60");
  await until(() => chat.waiting === 1);
  expect(chat.present).toEqual(["ann"]);
  await ann.post("3");
  expect((await poll).status).toBe(200);
  // With Ann's join notice.
  expect(await rest).toEqual(["1", "2", "", "3"]);
  for (const since of ["", "x", "1", "1-", "0-0-0"])
    expect(() => chat.follow({ since: since as Cursor })).toThrow(/^since /);
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
  expect((await wait).value?.events.at(-1)?.text).toBe("last");
  await Promise.all([late, closed]);
  expect(await quick.next()).toEqual({ done: true, value: undefined });
  expect(await take(slow, 2)).toEqual(["last"]);
  expect(await chat.follow({ since: "0" }).next()).toMatchObject({ value: { events: [{ text: "last" }] } });
});

test("what a host changes in a batch or in the sorted list of names changes no other", async () => {
  const { ann, bob, chat } = await start();
  await chat.post({ user: "bot", text: "hello" });
  const { value } = await chat.follow({ since: "0" }).next();
  (value.events as unknown[]).length = 0;
  expect(await take(chat.follow({ since: "0" }), 1)).toEqual(["hello"]);
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["hello"]);
  for (const person of [bob, ann]) await person.end();
  (chat.present as string[]).length = 0;
  expect(chat.present).toEqual(["ann", "bob"]);
});

const NO_RATE = ["5", null, -1, Number.NaN, Number.POSITIVE_INFINITY, true, [5], {}];
const NO_COUNT = [...NO_RATE, 0, 2000.5];
const NO_FLAG = [1, "true", null];
const NO_FUNCTION = [null, "x", {}];
const NO_OPTION = [5];
const WRONG: Record<string, unknown[]> = {
  ...{ backlog: NO_COUNT, maxWaiters: NO_COUNT, maxNames: NO_COUNT },
  ...{ bodyLimit: NO_COUNT, grace: NO_COUNT, postRate: NO_RATE, loginRate: NO_RATE },
  ...{ metrics: NO_FLAG, trustProxy: NO_FLAG, identify: NO_FUNCTION, log: NO_FUNCTION },
  path: ["chat", "/", "/chat/", "//chat", "/a//b", "/a?b", "/a#b", "/a b", "/聊", null, 5],
  title: ["", " ", "x".repeat(101), 5, null],
  store: [null, {}, "redis://", { open: 1, append: 1, close: 1 }],
  secrets: [null, [], "secret", [""], [5], [new Uint8Array()]],
};

test("a wrong or unknown option is rejected by an error that names it, and undefined is the default", async () => {
  const unknown = { maxwaiters: NO_OPTION, port: NO_OPTION, constructor: NO_OPTION };
  for (const [option, values] of Object.entries({ ...WRONG, ...unknown })) {
    for (const value of values) {
      // A caller without TypeScript can pass anything.
      const error: unknown = await createChat({ [option]: value } as ChatOptions).catch((reason) => reason);
      expect(error instanceof RangeError || error instanceof TypeError, option).toBe(true);
      expect(String(error)).toMatch(new RegExp(`\\b${option}\\b`));
      expect(String(error)).not.toContain('secret"');
    }
  }
  for (const options of [null, 5, "x"])
    await expect(createChat(options as unknown as ChatOptions)).rejects.toThrow(/options/);
  const none = Object.fromEntries(Object.keys(WRONG).map((name) => [name, undefined]));
  await (await createChat(none)).close();
});
