import { expect, test } from "vitest";
import { compare } from "../conformance/person.js";
import { chatPerTest, until } from "./chat.js";
import { Person, texts } from "./person.js";

const start = chatPerTest();
const ALL = 1000;

test("100 clients with aborted polls see one sequence of 1,000 messages from 8 posters", async () => {
  // Clients and server share this process, so a reader can fall far behind. A gap would hide messages.
  const { url, chat } = await start({ backlog: 2000 });
  const people = (kind: string, count: number) =>
    Promise.all(Array.from({ length: count }, (_, n) => Person.login(url, `${kind} ${n}`)));
  const [posters, readers] = [await people("poster", 8), await people("reader", 100)];
  const cursors = await Promise.all(readers.map((reader) => reader.end()));

  async function read(reader: Person, since: string): Promise<string[]> {
    const seen: string[] = [];
    for (let cursor = since; seen.length < ALL; ) {
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

  const reading = Promise.all(readers.map((reader, n) => read(reader, cursors[n] ?? "0")));
  const said: (readonly [id: string, text: string])[] = [];
  await Promise.all(
    posters.map(async (poster, p) => {
      for (let n = 0; n < ALL / posters.length; n++)
        said.push([await poster.post(`${p}:${n}`), `${p}:${n}`] as const);
    }),
  );
  const expected = said.sort(([a], [b]) => compare(a, b)).map(([, text]) => text);
  expect(expected).toHaveLength(ALL);
  for (const seen of await reading) expect(seen).toEqual(expected);
  await until(() => chat.waiting === 0);
});
