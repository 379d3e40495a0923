import { setMaxListeners } from "node:events";
import http from "node:http";
import { expect, test } from "vitest";
import { readBatch } from "../conformance/person.js";
import { roomPerTest, until } from "./chat.js";
import { Person, texts } from "./person.js";
import { startServer } from "./server.js";

const start = roomPerTest();

test("2,000 aborted polls leave no waiter and no timer", async () => {
  const { ann, chat } = await start();
  ann.agent.maxSockets = Number.POSITIVE_INFINITY;
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
  const agent = new http.Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  const timeOuts = async () =>
    /^holdline_polls_total\{outcome="timeout"\} (\d+)$/m.exec((await ann.ask("metrics")).body)?.[1];
  const cursors = Array.from({ length: many }, () => "now");
  /** Polls until two messages arrived. Returns the messages of each reply. */
  const hear = async (n: number, onMessage: () => void): Promise<string[][]> => {
    const answers: string[][] = [];
    while (answers.flat().length < 2) {
      const query = `since=${cursors[n]}&wait=60&client=c${n}`;
      const batch = readBatch(await ann.hold(query, { agent }));
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
  agent.destroy();
  expect(await server.stop()).toBe(0);
});
