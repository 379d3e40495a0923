/** Held polls: their time-outs, many of them, many messages, and what a poll keeps. The clock is often stopped. */
import { once, setMaxListeners } from "node:events";
import http, { type IncomingMessage } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { compare, readBatch } from "../conformance/person.js";
import { moveClock, moveDate, startRoom, stopClock, until } from "./chat.js";
import { type Batch, Person, texts } from "./person.js";
import { startServer } from "./server.js";

/** The longest delay of a time-out in milliseconds (protocol.md). */
const LATE_MS = 50;

test("a plain poll ends after ten seconds, also if a user joins meanwhile", async () => {
  stopClock();
  const { url, chat, ann, bob } = await startRoom();
  const cat = await Person.login(url, "cat");
  await bob.end();
  const poll = ann.plain();
  await until(() => chat.waiting === 1);
  moveClock(5_000);
  const witness = bob.batch("since=now&wait=60");
  await until(() => chat.waiting === 2);
  await cat.end();
  // The notice answers the other polls. The plain poll does not show notices and stays held.
  expect((await witness).messages).toMatchObject([{ user: "cat", kind: "join" }]);
  moveClock(4_999);
  await bob.end();
  expect(chat.waiting).toBe(1);
  moveClock(1 + LATE_MS);
  await bob.end();
  expect(chat.waiting).toBe(0);
  expect(await poll).toBe("");
});

test("50 polls at random moments are held for their whole wait", async () => {
  const { ann, server } = await startRoom();
  await ann.end();
  const waits: number[] = [];
  server.prependListener("request", (req, res) => {
    const began = performance.now();
    res.once("finish", () => {
      if (req.url?.includes("wait=0.3")) waits.push(performance.now() - began);
    });
  });
  const poll = async (_: unknown, n: number) => {
    // A server's timers can have a granularity. The polls start at any point within it.
    await delay(Math.random() * 200);
    expect((await ann.batch(`since=now&wait=0.3&client=c${n}`)).messages).toEqual([]);
  };
  await Promise.all(Array.from({ length: 50 }, poll));
  expect(waits).toHaveLength(50);
  // Measured on the server's clock, so a slow machine only makes it longer.
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(300);
});

test("a user with an aborted poll is present for the grace time and then absent", async () => {
  stopClock();
  const { ann, chat } = await startRoom({ grace: 30_000 });
  const gone = new AbortController();
  const poll = ann.poll("since=now&wait=60", { signal: gone.signal });
  await until(() => chat.waiting === 1);
  gone.abort();
  await expect(poll).rejects.toThrow();
  await until(() => chat.waiting === 0);
  moveClock(29_999);
  expect((await ann.who()).users).toEqual(["ann"]);
  // The sweep of members runs once a second.
  moveClock(1 + 1_000);
  expect((await ann.who()).users).toEqual([]);
  // A page without scripts reloads before its reader counts as absent.
  const page = (await ann.ask("chatroom/ann/")).body;
  const seconds = Number(/http-equiv="refresh" content="(\d+)"/.exec(page)?.[1]);
  moveClock(seconds * 1_000 + LATE_MS);
  expect((await ann.who()).users).toEqual(["ann"]);
});

test("a wall clock that jumps back and forward delays no message and no time-out, and ids grow", async () => {
  const HOUR = 3_600_000;
  const { chat, ann, bob } = await startRoom();
  for (const person of [ann, bob]) await person.end();
  const ids = [await ann.post("before")];
  for (const offset of [-HOUR, 2 * HOUR, -HOUR]) {
    const held = bob.batch(`since=${ids.at(-1)}&wait=60`);
    const idle = ann.batch(`since=${ids.at(-1)}&wait=0.2`);
    await until(() => chat.waiting === 2);
    moveDate(offset);
    expect((await idle).messages).toEqual([]);
    ids.push(await ann.post("after"));
    expect(await held).toMatchObject({ cursor: ids.at(-1), messages: [{ text: "after" }] });
  }
  expect([...ids].sort(compare)).toEqual(ids);
});

test("2,500 kept messages arrive in batches of exactly 1,000 from a cursor before the gap", async () => {
  const { ann, chat } = await startRoom({ backlog: 2_500, grace: 3_600_000 });
  let cursor = await ann.end();
  // Ann's join notice comes before the messages.
  while ((await ann.batch("since=0&wait=0")).messages.length === 0);
  for (let n = 0; n < 3_000; n++) await chat.post({ user: "bot", text: `${n}` });
  const answers: Batch[] = [];
  while (answers.at(-1)?.messages.length !== 0) {
    const next = await ann.batch(`since=${cursor}&wait=0`);
    answers.push(next);
    ({ cursor } = next);
  }
  expect(answers.map(({ messages }) => messages.length)).toEqual([1_000, 1_000, 500, 0]);
  expect(answers.map(({ gap }) => gap)).toEqual([true, undefined, undefined, undefined]);
  expect(answers.flatMap(texts)).toEqual(Array.from({ length: 2_500 }, (_, n) => `${n + 500}`));
});

test("a busy room answers many messages in few replies, also for late polls", async () => {
  stopClock();
  const { ann, bob, chat } = await startRoom();
  const cursor = await ann.end();
  // Each reply to a poll takes a millisecond.
  const { end } = http.ServerResponse.prototype;
  vi.spyOn(http.ServerResponse.prototype, "end").mockImplementation(function (
    this: http.ServerResponse,
    ...args
  ) {
    if (this.req.url?.startsWith("/get_post/")) moveClock(1);
    return Reflect.apply(end, this, args);
  });
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

test("2,000 aborted polls leave no waiter and no timer", async () => {
  const { ann, chat } = await startRoom();
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
  await ann.end();
  const before = timers();
  for (let round = 0; round < 4; round++) {
    const gone = new AbortController();
    setMaxListeners(500, gone.signal);
    const polls = Array.from({ length: 500 }, () =>
      ann.poll("since=now&wait=60", { signal: gone.signal, headers: { Connection: "close" } }),
    );
    await until(() => chat.waiting === 500);
    gone.abort();
    for (const { status } of await Promise.allSettled(polls)) expect(status).toBe("rejected");
    await until(() => chat.waiting === 0);
  }
  ann.close();
  // Closing sockets can hold a timer of Node's own for a moment.
  await until(() => timers() <= before + 1);
});

test("10,000 held polls all get two messages, the second posted during the flush of the first", async () => {
  const many = 10_000;
  const server = await startServer("--max-waiters", `${many}`, "--metrics");
  const [ann, bob] = [await Person.login(server.url, "ann"), await Person.login(server.url, "bob")];
  const timeOuts = async () =>
    /^holdline_polls_total\{outcome="timeout"\} (\d+)$/m.exec((await ann.ask("metrics")).body)?.[1];
  const cursors = Array.from({ length: many }, () => "now");
  /** Polls until two messages arrived. Returns the messages of each reply. */
  const hear = async (n: number, onMessage: () => void): Promise<string[][]> => {
    const answers: string[][] = [];
    while (answers.flat().length < 2) {
      const batch = readBatch(await ann.hold(`since=${cursors[n]}&wait=60&client=c${n}`));
      cursors[n] = batch.cursor;
      if (texts(batch).length === 0) continue;
      answers.push(texts(batch));
      onMessage();
    }
    return answers;
  };
  // One round is enough, unless the first flush ended before the second post.
  for (let atOnce = 0; atOnce === 0; ) {
    let onMessage = () => {};
    const answering = new Promise<void>((resolve) => {
      onMessage = resolve;
    });
    const hearing = cursors.map((_, n) => hear(n, onMessage));
    await ann.full();
    const before = await timeOuts();
    await bob.post("one");
    await answering;
    await bob.post("two");
    for (const answers of await Promise.all(hearing)) {
      expect(answers.flat()).toEqual(["one", "two"]);
      if (answers.length === 1) atOnce++;
    }
    // No third message and no time-out delivered the second message.
    expect(before).toMatch(/^\d+$/);
    expect(await timeOuts()).toBe(before);
  }
  ann.close();
  expect(await server.stop()).toBe(0);
});

test("the body of a GET is read and dropped while its poll is held", async () => {
  const { ann, server, chat } = await startRoom();
  await ann.end();
  const asked = once(server, "request");
  const body = "x".repeat(1_000_000);
  const poll = ann.batch("since=now&wait=60", { body, headers: { "Content-Length": `${body.length}` } });
  const [req] = (await asked) as [IncomingMessage];
  await until(() => chat.waiting === 1 && req.complete && req.readableLength === 0);
  await ann.post("hello");
  expect(texts(await poll)).toEqual(["hello"]);
});
