/** Ten thousand held polls, over real HTTP, in a process of their own. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { Agent, get } from "node:http";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";

const MANY = 10_000;

test("10,000 held polls get one event, and another one that is pushed during its delivery", async () => {
  const server = fork(fileURLToPath(new URL("many-server.mjs", import.meta.url)));
  onTestFinished(() => void server.kill());
  const [port] = (await once(server, "message")) as [number];
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  onTestFinished(() => agent.destroy());
  const poll = (query: string) =>
    new Promise<{ cursor: string; events: unknown[] }>((resolve, reject) => {
      get({ port, path: `/?${query}`, agent }, async (res) => {
        let body = "";
        for await (const chunk of res.setEncoding("utf8")) body += chunk;
        resolve(JSON.parse(body));
      }).on("error", reject);
    });
  /** Resolves when `count` polls are held. */
  const held = async (count: number) => {
    server.send({ held: count });
    await once(server, "message");
  };

  const polls = Array.from({ length: MANY }, (_, n) => poll(`since=now&wait=60&client=c${n}`));
  await held(MANY);
  server.send({ push: "first" });
  // The second event comes while the first one is being delivered.
  const [{ cursor = "" } = {}] = [await Promise.race(polls)];
  server.send({ push: "second" });
  const batches = await Promise.all(polls);
  expect(batches.filter(({ events }) => events[0] !== "first")).toEqual([]);
  const rest = await Promise.all(
    batches.map((batch, n) =>
      batch.events.length === 2 ? batch : poll(`since=${batch.cursor}&wait=60&client=c${n}`),
    ),
  );
  expect(rest.filter(({ events }) => events.at(-1) !== "second")).toEqual([]);
  expect(cursor).not.toBe("");
});
