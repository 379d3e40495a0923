/** Faults of ours: what is told to the caller (nothing), to the log (once), and what becomes of everybody else (nothing). */
import { afterEach, expect, test } from "vitest";
import { MemoryStore, type Message, type NewMessage, StoreUnavailable } from "../../src/index.js";
import { type Running, startChat, until } from "../wire/chat.js";
import { Person, texts } from "../wire/person.js";

/** A store that does to a message what its text says. */
class BrokenStore extends MemoryStore {
  override append(message: NewMessage): Promise<Message> {
    if (message.text === "throw") throw new TypeError("secret detail\r\nholdline: a line of its own");
    if (message.text === "reject") return Promise.reject(new Error("secret detail"));
    if (message.text === "reject nothing") return Promise.reject(undefined);
    if (message.text === "unavailable") return Promise.reject(new StoreUnavailable("secret detail"));
    return super.append(message);
  }
}

let running: Running;
afterEach(() => running.close());

test("what breaks in a handler is a 500 without detail, and is logged once a minute, in one line", async () => {
  running = await startChat({ store: new BrokenStore() });
  const [ann, bob] = [await Person.login(running.url, "ann"), await Person.login(running.url, "bob")];
  await bob.batch("since=now&wait=0");
  const html = { Accept: "text/html" };
  for (let n = 0; n < 50; n++) {
    for (const text of ["throw", "reject", "reject nothing"]) {
      const reply = await ann.say(text, n % 2 ? html : {});
      expect(reply.status).toBe(500);
      expect(reply.body).toBe(
        '{"error":{"code":"internal","message":"Something went wrong on our side."}}\n',
      );
    }
  }
  expect(running.log).toHaveLength(1);
  expect(running.log[0]).toMatch(/^a handler failed: TypeError: secret detail.+$/);
  // Everybody else goes on, Ann too.
  const poll = bob.batch("since=now&wait=60");
  await until(() => running.chat.waiting === 1);
  await ann.post("fine again");
  expect(texts(await poll)).toEqual(["fine again"]);
});

test("a store that cannot keep a message is a 503 that says so, and nothing is logged per request", async () => {
  running = await startChat({ store: new BrokenStore() });
  const ann = await Person.login(running.url, "ann");
  for (let n = 0; n < 20; n++) {
    const reply = await ann.say("unavailable");
    expect([reply.status, (JSON.parse(reply.body) as { error: { code: string } }).error.code]).toEqual([
      503,
      "store_unavailable",
    ]);
    expect(Number(reply.headers["retry-after"])).toBeGreaterThan(0);
    expect(reply.body).not.toContain("secret");
  }
  expect(running.log).toEqual([]);
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual([]);
});
