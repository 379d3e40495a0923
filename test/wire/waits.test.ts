/** Time-outs: the wait of a poll, and the grace time after the last poll of a user. */
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import { compare } from "../conformance/person.js";
import { roomPerTest, until } from "./chat.js";
import { moveClock, stopClock } from "./clock.js";
import { Person } from "./person.js";

const start = roomPerTest();
/** The longest delay of a time-out in milliseconds (protocol.md). */
const LATE_MS = 50;

test("a plain poll ends after ten seconds, also if a user joins meanwhile", async () => {
  stopClock();
  const { url, chat, ann, bob } = await start();
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
  const { ann, server } = await start();
  ann.agent.maxSockets = 50;
  await ann.end();
  const waits: number[] = [];
  server.prependListener("request", (req, res) => {
    const began = performance.now();
    res.once("finish", () => {
      if (req.url?.includes("wait=0.3")) waits.push(performance.now() - began);
    });
  });
  await Promise.all(
    Array.from({ length: 50 }, async (_, n) => {
      // A server's timers can have a granularity. The polls start at any point within it.
      await delay(Math.random() * 200);
      expect((await ann.batch(`since=now&wait=0.3&client=c${n}`)).messages).toEqual([]);
    }),
  );
  expect(waits).toHaveLength(50);
  // Measured on the server's clock, so a slow machine only makes it longer.
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(300);
});

test("a user with an aborted poll is present for the grace time and then absent", async () => {
  stopClock();
  const { ann, chat } = await start({ grace: 30_000 });
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
});

test("a page without scripts reloads before its reader counts as absent", async () => {
  stopClock();
  const { ann } = await start();
  const page = (await ann.ask("chatroom/ann/")).body;
  const seconds = Number(/http-equiv="refresh" content="(\d+)"/.exec(page)?.[1]);
  moveClock(seconds * 1_000 + LATE_MS);
  expect((await ann.who()).users).toEqual(["ann"]);
});

test("a wall clock that jumps back and forward delays no message and no time-out, and ids grow", async () => {
  const HOUR = 3_600_000;
  const { chat, ann, bob } = await start();
  for (const person of [ann, bob]) await person.end();
  const now = Date.now();
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  const ids = [await ann.post("before")];
  for (const offset of [-HOUR, HOUR, 0]) {
    const held = bob.batch(`since=${ids.at(-1)}&wait=60`);
    const idle = ann.batch(`since=${ids.at(-1)}&wait=0.2`);
    await until(() => chat.waiting === 2);
    vi.setSystemTime(now + offset);
    expect((await idle).messages).toEqual([]);
    ids.push(await ann.post("after"));
    expect(await held).toMatchObject({ cursor: ids.at(-1), messages: [{ text: "after" }] });
  }
  expect([...ids].sort(compare)).toEqual(ids);
});
