/** Errors of the server: the caller gets no detail, the log gets one line, and other users are not affected. */
import { expect, test } from "vitest";
import { MemoryStore, type Message, type NewMessage, StoreUnavailable } from "../../src/index.js";
import { startChat, until } from "../wire/chat.js";
import { code, Person, texts } from "../wire/person.js";

/** A store that fails as the text of a message says. */
class BrokenStore extends MemoryStore {
  override append(message: NewMessage): Promise<Message> {
    if (message.text === "throw") throw new TypeError("secret detail\r\nholdline: a line of its own");
    if (message.text === "reject") return Promise.reject(new Error("secret detail"));
    if (message.text === "reject nothing") return Promise.reject(undefined);
    if (message.text === "unavailable") return Promise.reject(new StoreUnavailable("secret detail"));
    return super.append(message);
  }
}

test("a handler that throws is a 500 without details, and one line in the log", async () => {
  const running = await startChat({ store: new BrokenStore() });
  const [ann, bob] = [await Person.login(running.url, "ann"), await Person.login(running.url, "bob")];
  await bob.batch("since=now&wait=0");
  for (let n = 0; n < 50; n++)
    for (const text of ["throw", "reject", "reject nothing"]) {
      const { status, body } = await ann.say(text, n % 2 ? { Accept: "text/html" } : {});
      const error = { code: "internal", message: "Something went wrong on our side." };
      expect([status, JSON.parse(body)]).toEqual([500, { error }]);
    }
  expect(running.log).toEqual([expect.stringMatching(/^a handler failed: TypeError: secret detail.+$/)]);
  const poll = bob.batch("since=now&wait=60");
  await until(() => running.chat.waiting === 1);
  await ann.post("fine again");
  expect(texts(await poll)).toEqual(["fine again"]);
  await running.close();
});

test("a post that the store cannot keep is a 503, and the log gets no line", async () => {
  const running = await startChat({ store: new BrokenStore() });
  const ann = await Person.login(running.url, "ann");
  for (let n = 0; n < 20; n++) {
    const reply = await ann.say("unavailable");
    expect(code(reply)).toEqual([503, "store_unavailable"]);
    expect(Number(reply.headers["retry-after"])).toBeGreaterThan(0);
    expect(reply.body).not.toContain("secret");
  }
  expect(running.log).toEqual([]);
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual([]);
  await running.close();
});
