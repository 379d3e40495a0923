import { afterEach, beforeEach, expect, test } from "vitest";
import { type Running, startChat, until } from "./chat.js";
import { Person, texts } from "./person.js";

let running: Running;
beforeEach(async () => {
  // Clients and server share this process, so a reader can fall far behind. A gap would hide messages.
  running = await startChat({ backlog: 3000 });
});
afterEach(async () => {
  await running.close();
  expect(running.log).toEqual([]);
});

test("200 clients with aborted polls see one sequence of 2,000 messages from 8 posters", async () => {
  const posters = await Promise.all(
    Array.from({ length: 8 }, (_, n) => Person.login(running.url, `poster ${n}`)),
  );
  const readers = await Promise.all(
    Array.from({ length: 200 }, (_, n) => Person.login(running.url, `reader ${n}`)),
  );
  const all = 2000;

  async function read(reader: Person): Promise<string[]> {
    const seen: string[] = [];
    let { cursor } = await reader.batch("since=now&wait=0");
    started();
    while (seen.length < all) {
      const gone = new AbortController();
      const poll = reader.batch(`since=${cursor}&wait=10&client=c`, { signal: gone.signal });
      // Every fourth poll is aborted: before it arrives, while it is held, or too late.
      if (Math.random() < 0.25) setImmediate(() => gone.abort());
      const batch = await poll.catch(() => undefined);
      if (!batch) continue;
      expect(batch.gap).toBeUndefined();
      seen.push(...texts(batch));
      cursor = batch.cursor;
    }
    reader.close();
    return seen;
  }

  let waiting = readers.length;
  let started = () => {};
  const allStarted = new Promise<void>((resolve) => {
    started = () => {
      if (--waiting === 0) resolve();
    };
  });
  const reading = Promise.all(readers.map(read));
  await allStarted;
  const posted = await Promise.all(
    posters.map(async (poster, p) => {
      const said: [id: string, text: string][] = [];
      for (let n = 0; n < all / posters.length; n++) {
        const text = `${p}:${n}`;
        said.push([await poster.post(text), text]);
      }
      return said;
    }),
  );
  const byId = ([a]: [string, string], [b]: [string, string]) => {
    const [aMs = 0, aN = 0] = a.split("-").map(Number);
    const [bMs = 0, bN = 0] = b.split("-").map(Number);
    return aMs - bMs || aN - bN;
  };
  const expected = posted
    .flat()
    .sort(byId)
    .map(([, text]) => text);
  expect(expected).toHaveLength(all);
  for (const seen of await reading) expect(seen).toEqual(expected);
  await until(() => running.chat.waiting === 0);
});
