import { setMaxListeners } from "node:events";
import http from "node:http";
import { expect, test } from "vitest";
import { startChat, until } from "./chat.js";
import { Person } from "./person.js";
import { startServer } from "./server.js";

test("5,000 aborted polls leave no waiter and no timer behind", async () => {
  const running = await startChat();
  const ann = await Person.login(running.url, "ann");
  ann.agent.maxSockets = Number.POSITIVE_INFINITY;
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
  await ann.batch("since=now&wait=0");
  const before = timers();
  for (let round = 0; round < 10; round++) {
    const gone = new AbortController();
    setMaxListeners(500, gone.signal);
    const polls = Array.from({ length: 500 }, () =>
      ann.poll("since=now&wait=60", { signal: gone.signal, headers: { Connection: "close" } }),
    );
    await until(() => running.chat.waiting === 500);
    gone.abort();
    for (const { status } of await Promise.allSettled(polls)) expect(status).toBe("rejected");
    await until(() => running.chat.waiting === 0);
  }
  ann.close();
  // Sockets that are still closing may hold a timer of Node's own for a moment.
  await until(() => timers() <= before + 1);
  await running.close();
});

test("an aborted poll gives its place to the next one, 100 times over", async () => {
  const server = await startServer("--max-waiters", "1");
  const ann = await Person.login(server.url, "ann");
  for (let n = 0; n < 100; n++) {
    const gone = new AbortController();
    const poll = ann.hold("since=now&wait=60", { signal: gone.signal });
    await ann.full();
    gone.abort();
    await expect(poll).rejects.toThrow();
    while ((await ann.poll("since=now&wait=0.01")).status !== 200);
  }
  expect(await server.stop()).toBe(0);
});

test("10,000 polls are held by one process, and one broadcast answers them all", async () => {
  const many = 10_000;
  const server = await startServer("--max-waiters", `${many}`);
  const ann = await Person.login(server.url, "ann");
  const agent = new http.Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  const answers = Array.from({ length: many }, (_, n) =>
    ann.hold(`since=now&wait=60&client=c${n}`, { agent }),
  );
  await ann.full();
  const id = await ann.post("to all");
  for (const answer of answers) {
    expect(JSON.parse((await answer).body)).toMatchObject({ cursor: id, messages: [{ text: "to all" }] });
  }
  agent.destroy();
  expect(await server.stop()).toBe(0);
});
