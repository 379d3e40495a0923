/** Host code that throws when the chat calls it: one log line, one closed connection, and all others served. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { expect, test, vi } from "vitest";
import { MemoryStore } from "../../src/index.js";
import { FaultyStore, start, startRoom, until } from "./chat.js";
import { ask, type Batch, texts } from "./person.js";
import { get, hear, post } from "./raw.js";

/** Wraps responses as a host can: the method named by the request's header `Break` throws. */
function breakReplies(req: IncomingMessage, res: ServerResponse): void {
  const method = req.headers.break;
  if (method !== "writeHead" && method !== "write" && method !== "end") return;
  res[method] = () => {
    throw new Error(`the host's ${method}`);
  };
}

test.each(["writeHead", "write", "end"])(
  "a reply whose %s throws closes its connection, and all others are answered, also during a drain",
  async (method) => {
    const { ann, bob, port, chat, server, log } = await startRoom();
    server.prependListener("request", breakReplies);
    for (const person of [ann, bob]) await person.end();
    const lines = [`Cookie: ${ann.cookie}`, `Break: ${method}`];
    /** Holds a poll whose reply throws. Resolves when its connection closes. */
    const broken = (query: string) => hear(port, get(`/get_post/ann?${query}`, ...lines));
    /** Holds nine polls, each on its own page. The replies to three of them throw. Returns the other polls. */
    const holdNine = async () => {
      const others: Promise<Batch>[] = [];
      for (let n = 0; n < 9; n++) {
        const query = `since=now&wait=60&client=${n}`;
        if (n % 3 === 1) void broken(query);
        else others.push(bob.batch(query));
        await until(() => chat.waiting === n + 1);
      }
      return others;
    };
    const others = await holdNine();
    await ann.post("to all");
    for (const poll of others) expect(texts(await poll)).toEqual(["to all"]);
    // At the time-outs.
    const held = ["0.1&client=a", "0.3&client=b", "0.5&client=c"];
    const polls = held.map((wait) => bob.batch(`since=now&wait=${wait}`));
    await Promise.all([broken("since=now&wait=0.1"), broken("since=now&wait=0.3"), ...polls]);
    // A poll that is superseded.
    const older = broken("since=now&wait=60&client=c");
    await until(() => chat.waiting === 1);
    const newer = ann.batch("since=now&wait=60&client=c");
    await older;
    await until(() => chat.waiting === 1);
    // A post, which is kept.
    await hear(port, post("/put_post/ann", "message=kept", ...lines, "Connection: close"));
    expect(texts(await newer)).toEqual(["kept"]);
    await until(() => chat.waiting === 0);
    expect((await bob.batch("since=now&wait=0.05")).messages).toEqual([]);
    const draining = await holdNine();
    await chat.close();
    for (const poll of draining)
      expect(await poll).toMatchObject({ messages: [], retry: expect.any(Number) });
    // One kind of trouble is one line a minute.
    expect(log.splice(0)).toEqual([expect.stringMatching(/^a handler failed: Error: the host's \w+/)]);
  },
);

const fail = () => {
  throw new Error("the log");
};
const faulty = (fault: unknown) => new FaultyStore(({ text }) => (text === "throw" ? fault : undefined));

test("a store that throws is a 500 without details, and one line in the log", async () => {
  const { ann, log } = await startRoom({
    store: faulty(new TypeError("secret detail\r\nholdline: another line")),
  });
  for (const Accept of ["*/*", "text/html"]) {
    const { status, body } = await ann.say("throw", { Accept });
    const error = { code: "internal", message: "Something went wrong on our side." };
    expect([status, JSON.parse(body)]).toEqual([500, { error }]);
  }
  expect(log.splice(0)).toEqual([expect.stringMatching(/^a handler failed: TypeError: secret detail.+$/)]);
  await ann.post("fine again");
});

test("a log function that throws or rejects does not affect requests", async () => {
  const said = vi.spyOn(console, "error").mockImplementation(() => {});
  for (const log of [fail, async () => fail()]) {
    const { ann } = await startRoom({ store: faulty(new Error("the store")), log });
    expect((await ann.say("throw")).status).toBe(500);
    await ann.post("kept");
    expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["kept"]);
  }
  expect(said).toHaveBeenCalledTimes(2);
});

test("a store that throws at a notice does not affect joins, polls and leaves", async () => {
  const store = new FaultyStore(({ kind }) => kind && new Error("the store"));
  const { ann, bob, chat, log } = await startRoom({ store, grace: 50 });
  for (const person of [ann, bob, ann]) {
    expect(await person.status()).toBe(200);
    await until(() => chat.present.length === 0);
  }
  log.splice(0);
});

test("a message that a store delivers twice is one line in the log, and posts are kept", async () => {
  const store = new MemoryStore();
  const open = store.open.bind(store);
  // The chat's `receive` throws the second time.
  store.open = (receive, ...others) => open((message) => [receive(message), receive(message)], ...others);
  const { ann, chat, log } = await startRoom({ store });
  await ann.end();
  for (const text of ["one", "two", "three"]) {
    const poll = ann.batch("since=now&wait=60");
    await until(() => chat.waiting === 1);
    const posts = [ann.post(text), ann.post(`${text} more`)];
    expect(texts(await poll)[0]).toMatch(text);
    await Promise.all(posts);
  }
  expect(texts(await ann.batch("since=0&wait=0"))).toHaveLength(6);
  expect(log.splice(0)).toEqual([expect.stringMatching(/^a handler failed: RangeError/)]);
});

test.each([
  ["nothing", undefined],
  ["an object without a prototype", Object.create(null)],
  ["an error that cannot be shown", Object.defineProperty(new Error("the host"), "stack", { get: fail })],
])("an `identify` that throws %s is 500, and others are served", async (_what, thrown: unknown) => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  const { url, log } = await start({
    identify({ headers }) {
      if (headers.break === "throw") throw thrown;
      return headers.break === "reject" ? Promise.reject(thrown) : "ann";
    },
  });
  for (const Break of ["throw", "reject"]) {
    expect((await ask(`${url}/who`, { headers: { Break } })).status).toBe(500);
    expect((await ask(`${url}/who`)).status).toBe(200);
  }
  expect(log.splice(0).length).toBeLessThanOrEqual(1);
});
