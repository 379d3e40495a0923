import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Running, startChat, until } from "./chat.js";
import { Person, texts } from "./person.js";

let running: Running;
beforeEach(async () => {
  // Clients and server share this process, so a reader may fall far behind; with a gap there would be less to see.
  running = await startChat({ backlog: 3000 });
});
afterEach(async () => {
  await running.close();
  expect(running.log).toEqual([]);
});

describe("a message arrives exactly once, in order", () => {
  test("when it is posted during a poll, and the poll is answered with it", async () => {
    const [ann, bob] = [await Person.login(running.url, "ann"), await Person.login(running.url, "bob")];
    const poll = bob.batch("since=now&wait=60");
    await until(() => running.chat.waiting === 1);
    const id = await ann.post("hello");
    const batch = await poll;
    expect(texts(batch)).toEqual(["hello"]);
    expect(batch.cursor).toBe(id);
    expect(batch.messages.at(-1)).toMatchObject({ id, user: "ann", text: "hello" });
    expect(batch.present).toBe(1);
    expect(await bob.batch(`since=${batch.cursor}&wait=0`)).toMatchObject({ cursor: id, messages: [] });
  });

  test("when it is posted between two polls", async () => {
    const [ann, bob] = [await Person.login(running.url, "ann"), await Person.login(running.url, "bob")];
    const { cursor } = await bob.batch("since=now&wait=0");
    await ann.post("one");
    await ann.post("two");
    const batch = await bob.batch(`since=${cursor}&wait=60`);
    expect(texts(batch)).toEqual(["one", "two"]);
    expect(batch.gap).toBeUndefined();
  });

  test("when it was posted before the first poll, with since=0", async () => {
    const [ann, bob] = [await Person.login(running.url, "ann"), await Person.login(running.url, "bob")];
    await ann.post("early");
    expect(texts(await bob.batch("since=0&wait=60"))).toEqual(["early"]);
  });

  test("and not at all, with since=now, when it was posted before", async () => {
    const ann = await Person.login(running.url, "ann");
    await ann.post("early");
    expect(texts(await ann.batch("since=now&wait=0"))).toEqual([]);
  });

  test("to every page of a person, since each has its own cursor", async () => {
    const ann = await Person.login(running.url, "ann");
    const polls = [ann.batch("since=now&wait=60&client=a"), ann.batch("since=now&wait=60&client=b")];
    await until(() => running.chat.waiting === 2);
    await ann.post("both");
    expect((await Promise.all(polls)).map(texts)).toEqual([["both"], ["both"]]);
  });

  test("also when the reply that carried it was thrown away", async () => {
    const ann = await Person.login(running.url, "ann");
    const { cursor } = await ann.batch("since=now&wait=0");
    const gone = new AbortController();
    const poll = ann.poll(`since=${cursor}&wait=60`, { signal: gone.signal });
    await until(() => running.chat.waiting === 1);
    gone.abort();
    await expect(poll).rejects.toThrow();
    await ann.post("still there");
    expect(texts(await ann.batch(`since=${cursor}&wait=60`))).toEqual(["still there"]);
  });

  test("with all of Unicode in it, however the body is encoded", async () => {
    const ann = await Person.login(running.url, "安 🦊 آن");
    const text = '你好 🧑‍🚀 مرحبا "\\ \u2028 <b>&amp;</b>\n\tnext';
    const put = `put_post/${encodeURIComponent(ann.name)}`;
    await ann.post(text);
    await ann.ask(put, {
      method: "POST",
      headers: { "Content-Type": "application/json; charset=UTF-8" },
      body: JSON.stringify({ message: text }),
    });
    const batch = await ann.batch("since=0");
    expect(texts(batch)).toEqual([text, text]);
    expect(batch.messages.at(-1)?.user).toBe(ann.name);
  });
});

test("200 clients that come and go see one sequence of 2,000 messages from 8 posters", async () => {
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
      // Every fourth poll is broken off, some before they arrive, some in the middle, some too late.
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
