/** A session that ends while the body of its request still arrives: the request does nothing. */
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import type { ChatBatch } from "../../src/index.js";
import { chatPerTest, type Running, until } from "./chat.js";
import { code, Person, type Reply, texts } from "./person.js";

const start = chatPerTest();

/** The routes that read a body from a member. */
const ROUTES = [
  ["a post", "put_post/ann", "message=I+resign"],
  ["a poll with a cursor", "get_post/ann", "since=0&wait=0"],
  ["a poll without a cursor", "get_post/ann", "x=1"],
  ["a good-bye", "leave/ann", "x=1"],
] as const;

/** Sends a POST without the last byte of its body. Resolves when a handler has it. `finish` sends the rest. */
async function begin({ url, server }: Running, path: string, header: string, body: string) {
  const socket = connect(Number(new URL(url).port), "127.0.0.1").setEncoding("latin1");
  const arrived = once(server, "request");
  socket.write(
    `POST /${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${header}\r\n` +
      `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n` +
      body.slice(0, -1),
  );
  await arrived;
  return async function finish(): Promise<Pick<Reply, "status" | "body">> {
    let text = "";
    socket.on("data", (piece) => {
      text += piece;
    });
    socket.write(body.slice(-1));
    await once(socket, "close");
    const [head = "", answer = ""] = text.split("\r\n\r\n");
    return { status: Number(head.slice(9, 12)), body: answer };
  };
}

describe.each(ROUTES)("%s with an unfinished body", (_, path, body) => {
  test.each(["logout", "leave/ann"])(
    "is refused when %s ends its session and another takes the name",
    async (end) => {
      const running = await start();
      const { url, chat } = running;
      const eve = await Person.login(url, "ann");
      const finish = await begin(running, path, `Cookie: ${eve.cookie}`, body);
      await eve.ask(end, { method: "POST" });
      const ann = await Person.login(url, "ann");
      const bob = await Person.login(url, "bob");
      await bob.post("for ann");
      const poll = ann.batch("since=now&wait=60&client=a");
      await until(() => chat.waiting === 1);
      expect(code(await finish())).toEqual([401, "no_session"]);
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
      const names = new Map([["s", "ann"]]);
      const nameOf = (req: IncomingMessage) => names.get(`${req.headers["x-session"]}`);
      const identify =
        when === "later"
          ? async (req: IncomingMessage) => nameOf(req)
          : (req: IncomingMessage) => nameOf(req);
      const running = await start({ identify });
      const log: string[] = [];
      for (const name of [undefined, "bob"]) {
        names.set("s", "ann");
        const finish = await begin(running, path, "X-Session: s", body);
        // The host's first answer is used by then: the server reads the body.
        await new Promise(setImmediate);
        if (name === undefined) names.delete("s");
        else names.set("s", name);
        log.push(code(await finish()).join(" "));
      }
      expect(log).toEqual(["401 no_session", "403 not_you"]);
      const said = running.chat.follow({ since: "0" });
      await running.chat.post({ user: "bot", text: "nothing so far" });
      const { value } = await said.next();
      expect((value as ChatBatch | undefined)?.messages.map(({ text }) => text)).toEqual(["nothing so far"]);
    },
  );

  test("is refused without a session before its body is read", async () => {
    const running = await start();
    const socket = connect(Number(new URL(running.url).port), "127.0.0.1").setEncoding("latin1");
    socket.write(`POST /${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n`);
    const [answer] = await once(socket, "data");
    expect(answer).toMatch(/^HTTP\/1\.1 401 /);
    socket.destroy();
  });
});
