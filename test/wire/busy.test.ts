/** Many polls, many messages, and clients that read nothing. */
import { once } from "node:events";
import http from "node:http";
import type { Socket } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { chatPerTest, until } from "./chat.js";
import { moveClock, stopClock } from "./clock.js";
import { type Batch, Person, texts } from "./person.js";
import { dial, get } from "./raw.js";

const start = chatPerTest();

test("2,500 kept messages arrive in batches of exactly 1,000 from a cursor before the gap", async () => {
  const { url, chat } = await start({ backlog: 2_500, grace: 3_600_000 });
  const ann = await Person.login(url, "ann");
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
  const { url, chat } = await start();
  const [ann, bob] = [await Person.login(url, "ann"), await Person.login(url, "bob")];
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

/** A client that sends 16 requests at once and reads nothing until `resume`. */
function silentClient(port: number, path: string, { cookie }: Person): Socket {
  const { socket, send } = dial(port);
  socket.pause();
  send(get(path, `Cookie: ${cookie}`).repeat(16));
  return socket;
}

test("clients with more unread bytes than the bound are closed, and others are served", async () => {
  const { url, port, chat, server, log } = await start({ serve: { maxBufferedBytes: 8 * 1024 * 1024 } });
  const [ann, eve] = [await Person.login(url, "ann"), await Person.login(url, "eve")];
  for (let n = 0; n < 600; n++) await chat.post({ user: "bot", text: "x".repeat(2_000) });
  const modest = silentClient(port, "/healthz", eve);
  await once(server, "connection");
  let closed = 0;
  // The client's socket is paused, so only the server's socket shows the close.
  server.on("connection", (socket: Socket) => socket.once("close", () => closed++));
  const silent = Array.from({ length: 40 }, () => silentClient(port, "/get_post/eve?since=0&wait=0", eve));
  await until(() => closed > 0);
  expect(log.splice(0).join()).toContain("closed");
  await ann.post("still here");
  expect((await ann.batch("since=now&wait=0")).messages).toEqual([]);
  modest.resume();
  const [reply] = await once(modest, "data");
  expect(`${reply}`).toMatch(/^HTTP\/1\.1 200 /);
  for (const socket of [...silent, modest]) socket.destroy();
  log.splice(0);
});

test("requests with a body without a length count with the longest body", async () => {
  const { port, log } = await start({
    ...{ bodyLimit: 1_000_000, loginRate: 0 },
    serve: { maxBufferedBytes: 4 * 1024 * 1024 },
  });
  const form = "Content-Type: application/x-www-form-urlencoded";
  const head = `POST /login HTTP/1.1\r\nHost: x\r\n${form}\r\nTransfer-Encoding: chunked\r\n\r\n`;
  const clients = Array.from({ length: 6 }, () => dial(port));
  for (const { send } of clients) send(`${head}5\r\nname=\r\n`);
  await until(() => log.length > 0);
  expect(log.splice(0).join()).toMatch(/^too many bytes are buffered: \d connections are closed$/);
  for (const { socket } of clients) socket.destroy();
});
