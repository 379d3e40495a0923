/** A session that ends while the body of its request still arrives: the request does nothing. */
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { describe, expect, test } from "vitest";
import type { ChatBatch } from "../../src/index.js";
import { chatPerTest, type Running, until } from "./chat.js";
import { code, Person, texts } from "./person.js";
import { dial, post } from "./raw.js";

const start = chatPerTest();

/** Sends a POST without the last byte of its body. Resolves when a handler has it. `finish` sends the rest. */
async function begin({ port, server }: Running, path: string, header: string, body: string) {
  const arrived = once(server, "request");
  const bytes = post(`/${path}`, body, "Connection: close", header);
  const line = dial(port, bytes.slice(0, -1));
  await arrived;
  return async function finish(): Promise<[number, string]> {
    line.send(bytes.slice(-1));
    const { text, statuses } = await line.closed;
    return code({ status: statuses[0] ?? 0, body: text.split("\r\n\r\n")[1] ?? "" });
  };
}

/** The routes that read a body from a member. */
describe.each([
  ["a post", "put_post/ann", "message=I+resign"],
  ["a poll with a cursor", "get_post/ann", "since=0&wait=0"],
  ["a poll without a cursor", "get_post/ann", "x=1"],
  ["a leave", "leave/ann", "x=1"],
])("%s with an unfinished body", (_, path, body) => {
  test.each(["logout", "leave/ann"])(
    "is refused when %s ends its session and another takes the name",
    async (end) => {
      const running = await start();
      const { url, chat } = running;
      const eve = await Person.login(url, "ann");
      const finish = await begin(running, path, `Cookie: ${eve.cookie}`, body);
      await eve.send(end);
      const [ann, bob] = [await Person.login(url, "ann"), await Person.login(url, "bob")];
      await bob.post("for ann");
      const poll = ann.batch("since=now&wait=60&client=a");
      await until(() => chat.waiting === 1);
      expect(await finish()).toEqual([401, "no_session"]);
      expect(chat.waiting).toBe(1);
      await bob.post("more");
      expect(texts(await poll)).toEqual(["more"]);
      expect(await ann.plain()).toBe("for ann");
      expect(texts(await bob.batch("since=0&wait=0"))).toEqual(["for ann", "more"]);
    },
  );

  test.each(["at once", "later"])(
    "is refused when the host, which answers %s, ends or changes the session",
    async (when) => {
      let name: string | undefined;
      const nameOf = (_: IncomingMessage) => name;
      const identify = when === "later" ? async (req: IncomingMessage) => nameOf(req) : nameOf;
      const running = await start({ identify });
      for (const [next, refusal] of [
        [undefined, [401, "no_session"]],
        ["bob", [403, "not_you"]],
      ] as const) {
        name = "ann";
        const finish = await begin(running, path, "X: y", body);
        // The host's first answer is used by then: the server reads the body.
        await new Promise(setImmediate);
        name = next;
        expect(await finish()).toEqual(refusal);
      }
      const said = running.chat.follow({ since: "0" });
      await running.chat.post({ user: "bot", text: "nothing so far" });
      const { value } = await said.next();
      expect(texts(value as ChatBatch)).toEqual(["nothing so far"]);
    },
  );

  test("is refused without a session before its body is read", async () => {
    const { port } = await start();
    const { text, socket } = dial(port, post(`/${path}`, "x".repeat(10)).slice(0, -10));
    await until(() => text().startsWith("HTTP/1.1 401 "));
    socket.destroy();
  });
});
