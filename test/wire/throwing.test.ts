/** Host code that throws when the chat calls it: one log line, one closed connection, and all others served. */
import { once } from "node:events";
import { appendFile, mkdtemp, rm } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type ChatOptions, FileStore, MemoryStore, type Message, type NewMessage } from "../../src/index.js";
import { type Running, startChat, until } from "./chat.js";
import { ask, Person, texts } from "./person.js";
import { hear } from "./raw.js";

const running: Running[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const { close } of running.splice(0)) await close();
});

async function start(options: ChatOptions = {}) {
  const chat = await startChat(options);
  running.push(chat);
  const { port } = chat.server.address() as { port: number };
  return { ...chat, port };
}

/** Wraps responses as a host can: the method named by the request's header `Break` throws. */
function breakReplies(req: IncomingMessage, res: ServerResponse): void {
  const method = req.headers.break;
  if (method !== "writeHead" && method !== "write" && method !== "end") return;
  res[method] = () => {
    throw new Error(`the host's ${method}`);
  };
}

const METHODS = ["writeHead", "write", "end"];

describe.each(METHODS)("a reply whose %s throws", (method) => {
  async function people() {
    const chat = await start();
    chat.server.prependListener("request", breakReplies);
    const ann = await Person.login(chat.url, "ann");
    const bob = await Person.login(chat.url, "bob");
    for (const person of [ann, bob]) await person.batch("since=now&wait=0");
    /** Holds a poll whose reply throws. Resolves when its connection closes. */
    const broken = (query: string) =>
      hear(
        chat.port,
        `GET /get_post/ann?${query} HTTP/1.1\r\nHost: x\r\nCookie: ${ann.cookie}\r\nBreak: ${method}\r\n\r\n`,
      );
    /** Checks that the chat works and has logged one line. */
    const works = async () => {
      await until(() => chat.chat.waiting === 0);
      const polls = ["a", "b", "c"].map((client) => bob.batch(`since=now&wait=60&client=${client}`));
      await until(() => chat.chat.waiting === 3);
      await ann.post("afterwards");
      for (const poll of polls) expect(texts(await poll)).toEqual(["afterwards"]);
      expect((await bob.batch("since=now&wait=0.05")).messages).toEqual([]);
      expect(texts(await bob.batch("since=0&wait=0"))).toContain("afterwards");
      expect(chat.log).toEqual([expect.stringMatching(/^a handler failed: Error: the host's \w+/)]);
    };
    return { ...chat, ann, bob, broken, works };
  }

  test("to several polls closes them, and the other polls get the message", async () => {
    const { chat, ann, bob, broken, works } = await people();
    const polls: Promise<unknown>[] = [];
    for (let n = 0; n < 9; n++) {
      const query = `since=now&wait=60&client=${n}`;
      polls.push(n % 3 === 1 ? broken(query) : bob.batch(query).then(texts));
      await until(() => chat.waiting === n + 1);
    }
    await ann.post("to all");
    const answers = await Promise.all(polls);
    for (const n of [0, 2, 3, 5, 6, 8]) expect(answers[n]).toEqual(["to all"]);
    await works();
  });

  test("at a time-out closes that poll, and other polls still time out", async () => {
    const { bob, broken, works } = await people();
    const waits = [
      broken("since=now&wait=0.1"),
      bob.batch("since=now&wait=0.1&client=a"),
      bob.batch("since=now&wait=0.3&client=b"),
      broken("since=now&wait=0.3"),
      bob.batch("since=now&wait=0.5&client=c"),
    ];
    await Promise.all(waits);
    await works();
  });

  test("to an immediate poll closes it", async () => {
    const { broken, works } = await people();
    await broken("since=0&wait=0");
    await works();
  });

  test("to a superseded poll closes it, and the newer poll is held", async () => {
    const { chat, ann, bob, broken, works } = await people();
    const older = broken("since=now&wait=60&client=c");
    await until(() => chat.waiting === 1);
    const newer = ann.batch("since=now&wait=60&client=c");
    await older;
    await until(() => chat.waiting === 1);
    await bob.post("for the newer");
    expect(texts(await newer)).toEqual(["for the newer"]);
    await works();
  });

  test("to a poll of a leaving page closes it", async () => {
    const { chat, ann, broken, works } = await people();
    const poll = broken("since=now&wait=60&client=c");
    await until(() => chat.waiting === 1);
    expect((await ann.ask("leave/ann?client=c", { method: "POST" })).status).toBe(204);
    await poll;
    await works();
  });

  test("to some polls during a drain lets all others be answered", async () => {
    const { chat, bob, broken, log } = await people();
    const polls: Promise<unknown>[] = [];
    for (let n = 0; n < 6; n++) {
      const query = `since=now&wait=60&client=${n}`;
      polls.push(n % 2 === 0 ? broken(query) : bob.batch(query));
      await until(() => chat.waiting === n + 1);
    }
    await chat.close();
    const answers = await Promise.all(polls);
    for (const n of [1, 3, 5]) expect(answers[n]).toMatchObject({ messages: [], retry: expect.any(Number) });
    expect(log).toHaveLength(1);
  });

  test("to a post closes its connection, and the message is kept", async () => {
    const { ann, bob, port, works, log } = await people();
    const head = `POST /put_post/ann HTTP/1.1\r\nHost: x\r\nCookie: ${ann.cookie}\r\nBreak: ${method}\r\n`;
    const type = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 12\r\nConnection: close";
    await hear(port, `${head}${type}\r\n\r\nmessage=kept`);
    expect(texts(await bob.batch("since=0&wait=0"))).toEqual(["kept"]);
    // This reply does not call `write`.
    if (method === "write") expect(log).toEqual([]);
    else await works();
  });
});

/** A faulty store that delivers each message twice. The chat's `receive` throws the second time. */
const twice = {
  memory: class extends MemoryStore {
    override open(receive: (message: Message) => void) {
      return super.open((message) => {
        receive(message);
        receive(message);
      });
    }
  },
  file: class extends FileStore {
    override open(receive: (message: Message) => void) {
      return super.open((message) => {
        receive(message);
        receive(message);
      });
    }
  },
};

test.each(["memory", "file"] as const)(
  "a message that cannot be received from a store (%s) is one line in the log, and posts are kept",
  async (kind) => {
    const folder = await mkdtemp(join(tmpdir(), "holdline-"));
    const options = { folder, keep: 100, warn: () => {} };
    const store = kind === "memory" ? new twice.memory() : new twice.file(options);
    const { url, chat, log } = await start({ store });
    const ann = await Person.login(url, "ann");
    await ann.batch("since=now&wait=0");
    for (const text of ["one", "two", "three"]) {
      const poll = ann.batch("since=now&wait=60");
      await until(() => chat.waiting === 1);
      const posts = [ann.post(text), ann.post(`${text} more`)];
      expect(texts(await poll)[0]).toMatch(text);
      await Promise.all(posts);
    }
    expect(texts(await ann.batch("since=0&wait=0"))).toHaveLength(6);
    expect(log).toEqual([expect.stringMatching(/^a handler failed: RangeError/)]);
    await running.pop()?.close();
    await rm(folder, { recursive: true });
  },
);

test("a store that throws at a notice does not affect joins, polls and leaves", async () => {
  class NoNotices extends MemoryStore {
    override append(draft: NewMessage): Promise<Message> {
      if (draft.kind) throw new Error("no notices here");
      return super.append(draft);
    }
  }
  const { url, chat } = await start({ store: new NoNotices(), grace: 50 });
  const people = await Promise.all(["ann", "bob", "cat"].map((name) => Person.login(url, name)));
  for (const person of people) {
    expect((await person.poll("since=now&wait=0")).status).toBe(200);
    await until(() => chat.present.length === 0);
  }
});

describe("a log function that", () => {
  const logs: [how: string, log: () => void][] = [
    [
      "throws",
      () => {
        throw new Error("the log");
      },
    ],
    ["rejects", () => Promise.reject(new Error("the log"))],
  ];
  test.each(logs)("%s does not affect requests", async (_how, log) => {
    const said = vi.spyOn(console, "error").mockImplementation(() => {});
    const store = new (class extends MemoryStore {
      override append(draft: NewMessage): Promise<Message> {
        if (draft.text === "throw") throw new Error("the store");
        return super.append(draft);
      }
    })();
    const { url } = await start({ store, log });
    const ann = await Person.login(url, "ann");
    expect((await ann.say("throw")).status).toBe(500);
    await ann.post("kept");
    expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["kept"]);
    expect(said).toHaveBeenCalledTimes(1);
  });

  test.each(logs)("%s does not affect a store", async (_how, warn) => {
    const said = vi.spyOn(console, "error").mockImplementation(() => {});
    const folder = await mkdtemp(join(tmpdir(), "holdline-"));
    const store = () => new FileStore({ folder, keep: 10, warn });
    const before = await start({ store: store() });
    await (await Person.login(before.url, "ann")).post("before");
    await running.pop()?.close();
    // A damaged line is reported when the store opens.
    await appendFile(join(folder, "messages.jsonl"), "damage\n");
    const { url } = await start({ store: store() });
    const ann = await Person.login(url, "ann");
    await ann.post("after");
    expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["before", "after"]);
    expect(said).toHaveBeenCalled();
    await running.pop()?.close();
    await rm(folder, { recursive: true });
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
  expect(log.length).toBeLessThanOrEqual(1);
});

test("a `next` that throws throws to the caller of the handler and changes nothing", async () => {
  const { url, chat, server, log } = await start();
  server.removeAllListeners("request");
  server.on("request", (req, res) => {
    try {
      chat.handler(req, res, () => {
        throw new Error("the host's next");
      });
    } catch (error) {
      res.end(String(error));
    }
  });
  expect((await ask(`${url}/elsewhere`)).body).toBe("Error: the host's next");
  const ann = await Person.login(url, "ann");
  await ann.post("fine");
  expect(log).toEqual([]);
  ann.close();
  server.closeIdleConnections();
  await once(server.close(), "close");
});
