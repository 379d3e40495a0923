/** Host code that throws when the chat calls it: one log line, one closed connection, and all others served. */
import { appendFile, mkdtemp, rm } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { FileStore, MemoryStore, type Store } from "../../src/index.js";
import { chatPerTest, FaultyStore, roomPerTest, until } from "./chat.js";
import { ask, type Batch, texts } from "./person.js";
import { get, hear, post } from "./raw.js";

const [start, startEmpty] = [roomPerTest(), chatPerTest()];
afterEach(() => {
  vi.restoreAllMocks();
});

async function tempFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "holdline-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

/** Wraps responses as a host can: the method named by the request's header `Break` throws. */
function breakReplies(req: IncomingMessage, res: ServerResponse): void {
  const method = req.headers.break;
  if (method !== "writeHead" && method !== "write" && method !== "end") return;
  res[method] = () => {
    throw new Error(`the host's ${method}`);
  };
}

async function people(method: string) {
  const running = await start();
  const { ann, bob, port, chat, log } = running;
  running.server.prependListener("request", breakReplies);
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
  /** Checks that the chat works and has logged one line. */
  const works = async () => {
    await until(() => chat.waiting === 0);
    const polls = ["a", "b", "c"].map((client) => bob.batch(`since=now&wait=60&client=${client}`));
    await until(() => chat.waiting === 3);
    await ann.post("afterwards");
    for (const poll of polls) expect(texts(await poll)).toEqual(["afterwards"]);
    expect((await bob.batch("since=now&wait=0.05")).messages).toEqual([]);
    expect(log.splice(0)).toEqual([expect.stringMatching(/^a handler failed: Error: the host's \w+/)]);
  };
  return { ...running, lines, broken, holdNine, works };
}
type People = Awaited<ReturnType<typeof people>>;

describe.each(["writeHead", "write", "end"])("a reply whose %s throws", (method) => {
  test.each<[string, (room: People) => Promise<unknown>]>([
    [
      "several polls, and the other polls get the message",
      async ({ ann, holdNine }) => {
        const others = await holdNine();
        await ann.post("to all");
        for (const poll of others) expect(texts(await poll)).toEqual(["to all"]);
      },
    ],
    [
      "polls at their time-out, and other polls still time out",
      async ({ bob, broken }) => {
        const held = ["0.1&client=a", "0.3&client=b", "0.5&client=c"];
        const polls = held.map((wait) => bob.batch(`since=now&wait=${wait}`));
        await Promise.all([broken("since=now&wait=0.1"), broken("since=now&wait=0.3"), ...polls]);
      },
    ],
    ["an immediate poll", ({ broken }) => broken("since=0&wait=0")],
    [
      "a superseded poll, and the newer poll is held",
      async ({ chat, ann, bob, broken }) => {
        const older = broken("since=now&wait=60&client=c");
        await until(() => chat.waiting === 1);
        const newer = ann.batch("since=now&wait=60&client=c");
        await older;
        await until(() => chat.waiting === 1);
        await bob.post("for the newer");
        expect(texts(await newer)).toEqual(["for the newer"]);
      },
    ],
    [
      "the poll of a leaving page",
      async ({ chat, ann, broken }) => {
        const poll = broken("since=now&wait=60&client=c");
        await until(() => chat.waiting === 1);
        expect((await ann.leave("c")).status).toBe(204);
        await poll;
      },
    ],
  ])("closes %s", async (_, act) => {
    const room = await people(method);
    await act(room);
    await room.works();
  });

  test("to some polls during a drain lets all others be answered", async () => {
    const { chat, holdNine, log } = await people(method);
    const others = await holdNine();
    await chat.close();
    for (const poll of others) expect(await poll).toMatchObject({ messages: [], retry: expect.any(Number) });
    expect(log.splice(0)).toHaveLength(1);
  });

  test("to a post closes its connection, and the message is kept", async () => {
    const { bob, port, lines, works } = await people(method);
    await hear(port, post("/put_post/ann", "message=kept", ...lines, "Connection: close"));
    expect(texts(await bob.batch("since=0&wait=0"))).toEqual(["kept"]);
    // This reply does not call `write`.
    if (method !== "write") await works();
  });
});

test("a handler that throws is a 500 without details, and one line in the log", async () => {
  const fault = new TypeError("secret detail\r\nholdline: a line of its own");
  const { ann, log } = await start({
    store: new FaultyStore(({ text }) => (text === "throw" ? fault : undefined)),
  });
  for (const Accept of ["*/*", "text/html"]) {
    const { status, body } = await ann.say("throw", { Accept });
    const error = { code: "internal", message: "Something went wrong on our side." };
    expect([status, JSON.parse(body)]).toEqual([500, { error }]);
  }
  expect(log.splice(0)).toEqual([expect.stringMatching(/^a handler failed: TypeError: secret detail.+$/)]);
  await ann.post("fine again");
});

/** Makes a store deliver each message twice. The chat's `receive` throws the second time. */
function twice<S extends Store>(store: S): S {
  const open = store.open.bind(store);
  store.open = (receive, ...others) =>
    open(
      (message) => {
        receive(message);
        receive(message);
      },
      ...others,
    );
  return store;
}

test.each<[string, (folder: string) => Store]>([
  ["memory", () => twice(new MemoryStore())],
  ["file", (folder) => twice(new FileStore({ folder, warn: () => {} }))],
])(
  "a message that cannot be received from a store (%s) is one line in the log, and posts are kept",
  async (_, make) => {
    const { ann, chat, log } = await start({ store: make(await tempFolder()) });
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
  },
);

test("a store that throws at a notice does not affect joins, polls and leaves", async () => {
  const store = new FaultyStore(({ kind }) => kind && new Error("the store"));
  const { ann, bob, chat, log } = await start({ store, grace: 50 });
  for (const person of [ann, bob, ann]) {
    expect(await person.status()).toBe(200);
    await until(() => chat.present.length === 0);
  }
  log.splice(0);
});

describe("a log function that", () => {
  const fail = () => {
    throw new Error("the log");
  };
  const LOGS: [how: string, log: () => void][] = [
    ["throws", fail],
    ["rejects", async () => fail()],
  ];

  test.each(LOGS)("%s does not affect requests", async (_how, log) => {
    const said = vi.spyOn(console, "error").mockImplementation(() => {});
    const store = new FaultyStore(({ text }) => (text === "throw" ? new Error("the store") : undefined));
    const { ann } = await start({ store, log });
    expect((await ann.say("throw")).status).toBe(500);
    await ann.post("kept");
    expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["kept"]);
    expect(said).toHaveBeenCalledTimes(1);
  });

  test.each(LOGS)("%s does not affect a store", async (_how, warn) => {
    const said = vi.spyOn(console, "error").mockImplementation(() => {});
    const folder = await tempFolder();
    const open = () => start({ store: new FileStore({ folder, warn }) });
    const before = await open();
    await before.ann.post("before");
    await before.close();
    // A damaged line is reported when the store opens.
    await appendFile(join(folder, "messages.jsonl"), "damage\n");
    const { ann, close } = await open();
    await ann.post("after");
    expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["before", "after"]);
    expect(said).toHaveBeenCalled();
    await close();
  });
});

test.each([
  ["an error", new Error("the host")],
  ["nothing", undefined],
  ["an object without a prototype", Object.create(null)],
  [
    "an error that cannot be shown",
    Object.defineProperty(new Error("the host"), "stack", {
      get() {
        throw new Error("no stack");
      },
    }),
  ],
])("an `identify` that throws %s is 500, and others are served", async (_what, thrown: unknown) => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  const { url, log } = await startEmpty({
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

test("a `next` that throws throws to the caller of the handler and changes nothing", async () => {
  const { url, ann } = await start({
    wrap: (handler) => (req, res) => {
      try {
        handler(req, res, () => {
          throw new Error("the host's next");
        });
      } catch (error) {
        res.end(String(error));
      }
    },
  });
  expect((await ask(`${url}/elsewhere`)).body).toBe("Error: the host's next");
  await ann.post("fine");
});
