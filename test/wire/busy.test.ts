/** Many polls, many messages, and bodies without a length. */
import http from "node:http";
import { expect, onTestFinished, test, vi } from "vitest";
import { roomPerTest, until } from "./chat.js";
import { moveClock, stopClock } from "./clock.js";
import { type Batch, texts } from "./person.js";
import { dial } from "./raw.js";

const start = roomPerTest();

test("2,500 kept messages arrive in batches of exactly 1,000 from a cursor before the gap", async () => {
  const { ann, chat } = await start({ backlog: 2_500, grace: 3_600_000 });
  const { cursor: old } = await ann.batch("since=now&wait=0");
  // Ann's join notice comes before the messages.
  while ((await ann.batch("since=0&wait=0")).messages.length === 0);
  for (let n = 0; n < 3_000; n++) await chat.post({ user: "bot", text: `${n}` });
  const answers: Batch[] = [];
  for (let cursor = old; answers.at(-1)?.messages.length !== 0; ) {
    const next = await ann.batch(`since=${cursor}&wait=0`);
    answers.push(next);
    ({ cursor } = next);
  }
  expect(answers.map(({ messages }) => messages.length)).toEqual([1_000, 1_000, 500, 0]);
  expect(answers.map(({ gap }) => gap)).toEqual([true, undefined, undefined, undefined]);
  expect(answers.flatMap(texts)).toEqual(Array.from({ length: 2_500 }, (_, n) => `${n + 500}`));
});

/** Makes each reply to a poll take this long on the clock of the process. */
function answersTake(ms: number): void {
  const { end } = http.ServerResponse.prototype;
  vi.spyOn(http.ServerResponse.prototype, "end").mockImplementation(function (
    this: http.ServerResponse,
    ...args
  ) {
    if (this.req.url?.startsWith("/get_post/")) moveClock(ms);
    return Reflect.apply(end, this, args);
  });
  onTestFinished(() => void vi.restoreAllMocks());
}

test("a busy room answers many messages in few replies, also for late polls", async () => {
  stopClock();
  const { ann, bob, chat } = await start();
  const { cursor } = await ann.batch("since=now&wait=0");
  answersTake(1);
  const readers = Array.from({ length: 50 }, (_, n) => ({
    ...{ client: `c${n}`, cursor, isPolling: false, answers: 0 },
    heard: [] as string[],
  }));
  const idle = () => readers.filter(({ isPolling }) => !isPolling);
  const poll = async (reader: (typeof readers)[number]) => {
    reader.isPolling = true;
    const batch = await ann.batch(`since=${reader.cursor}&wait=60&client=${reader.client}`);
    reader.cursor = batch.cursor;
    reader.heard.push(...texts(batch));
    reader.answers++;
    reader.isPolling = false;
  };
  const messages = Array.from({ length: 20 }, (_, n) => `${n}`);
  const polls: Promise<void>[] = [];
  for (const message of messages) {
    await bob.post(message);
    // Each returning poll is one message behind, as on a slow network.
    polls.push(...idle().map(poll));
    await until(() => chat.waiting + idle().length === readers.length);
  }
  // The pause after the flush of the first message ends.
  moveClock(10_000);
  await until(() => chat.waiting === 0);
  await Promise.all(polls);
  for (const { heard, answers } of readers) {
    expect(heard).toEqual(messages);
    expect(answers).toBeLessThanOrEqual(4);
  }
});

test("requests with a body without a length count with the longest body", async () => {
  const { port, log } = await start({ bodyLimit: 1_000_000, serve: { maxBufferedBytes: 4 * 1024 * 1024 } });
  const form = "Content-Type: application/x-www-form-urlencoded";
  const head = `POST /login HTTP/1.1\r\nHost: x\r\n${form}\r\nTransfer-Encoding: chunked\r\n\r\n`;
  const clients = Array.from({ length: 6 }, () => dial(port));
  for (const { send } of clients) send(`${head}5\r\nname=\r\n`);
  await until(() => log.length > 0);
  expect(log.splice(0).join()).toMatch(/^too many bytes are buffered: \d connections are closed$/);
  for (const { socket } of clients) socket.destroy();
});
