import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Running, startChat, until } from "./chat.js";
import { Person } from "./person.js";

let running: Running;
let ann: Person;
let bob: Person;
beforeEach(async () => {
  running = await startChat();
  ann = await Person.login(running.url, "ann");
  bob = await Person.login(running.url, "bob");
});
afterEach(async () => {
  await running.close();
  expect(running.log).toEqual([]);
});

/** Sends a plain poll over a bare socket. */
function rawPoll() {
  const socket = connect(running.server.address() as { port: number });
  socket.on("error", () => {});
  socket.write(`GET /get_post/bob HTTP/1.1\r\nHost: x\r\nCookie: ${bob.cookies}\r\n\r\n`);
  return socket;
}

describe("a plain poll", () => {
  test("is held and returns the text of the next message as a JSON string", async () => {
    const poll = bob.ask("get_post/bob");
    await until(() => running.chat.waiting === 1);
    await ann.post('say "hi"');
    const reply = await poll;
    expect(reply.headers["content-type"]).toBe("application/json");
    expect(reply.body).toBe('"say \\"hi\\""\n');
  });

  test("returns a multi-byte text whole, with Content-Length in bytes", async () => {
    await ann.post("世界é");
    const reply = await bob.ask("get_post/bob");
    expect(reply.body).toBe('"世界é"\n');
    expect(reply.headers["content-length"]).toBe(`${Buffer.byteLength('"世界é"\n')}`);
  });

  test("returns one message at a time, in order, also those posted between two polls", async () => {
    await ann.post("one");
    await ann.post("two");
    expect(await bob.plain()).toBe("one");
    await ann.post("three");
    expect([await bob.plain(), await bob.plain()]).toEqual(["two", "three"]);
  });

  test("works by POST", async () => {
    await ann.post("one");
    expect(await bob.plain({ method: "POST" })).toBe("one");
  });

  test("starts at the log-in or the last page view", async () => {
    await ann.post("before");
    const cat = await Person.login(running.url, "cat");
    await ann.post("after the log-in");
    expect(await cat.plain()).toBe("after the log-in");
    await ann.post("on the page already");
    await cat.ask("chatroom/cat/");
    await ann.post("after the page");
    expect(await cat.plain()).toBe("after the page");
  });

  test("returns no notices", async () => {
    const poll = bob.plain();
    await until(() => running.chat.waiting === 1);
    const cat = await Person.login(running.url, "cat");
    await cat.batch("since=now&wait=0");
    await cat.ask("logout", { method: "POST" });
    await ann.post("said");
    expect(await poll).toBe("said");
    expect((await ann.batch("since=0&wait=0")).messages.map((message) => message.kind)).toContain("leave");
  });

  test("is held if its cursor is pruned and only notices are kept", async () => {
    const small = await startChat({ backlog: 2, grace: 3_600_000 });
    const dan = await Person.login(small.url, "dan");
    await small.chat.post({ user: "host", text: "pruned" });
    const notice = small.chat.follow();
    for (const name of ["eva", "fay"]) {
      const person = await Person.login(small.url, name);
      await person.batch("since=now&wait=0");
      expect(await notice.next()).toMatchObject({ value: { messages: [{ user: name, kind: "join" }] } });
      person.close();
    }
    const poll = dan.plainWith();
    await until(() => small.chat.waiting === 1);
    await small.chat.post({ user: "host", text: "said" });
    expect(await poll).toBe("said");
    dan.close();
    await small.close();
  });

  test("loses nothing if its connection closes while it is held", async () => {
    const socket = rawPoll();
    await until(() => running.chat.waiting === 1);
    socket.destroy();
    await until(() => running.chat.waiting === 0);
    await ann.post("kept");
    expect(await bob.plain()).toBe("kept");
  });

  test("loses nothing if its connection is reset while the message arrives", async () => {
    for (let n = 0; n < 50; n++) {
      const socket = rawPoll();
      await until(() => running.chat.waiting === 1);
      socket.resetAndDestroy();
      await ann.post(`kept ${n}`);
      expect(await bob.plain()).toBe(`kept ${n}`);
      await until(() => running.chat.waiting === 0);
    }
  });

  test("loses nothing if its client dies with an unread reply", async () => {
    const socket = rawPoll();
    socket.pause();
    await until(() => running.chat.waiting === 1);
    const closed = new Promise((resolve) => {
      running.server.once("clientError", resolve);
    });
    await ann.post("unread");
    await until(() => running.chat.waiting === 0);
    // The kernel resets the connection of a killed process with unread bytes.
    socket.resetAndDestroy();
    await closed;
    expect(await bob.plain()).toBe("unread");
  });

  test("repeats nothing if its connection closes normally after the reply", async () => {
    await ann.post("one");
    expect(await bob.plain()).toBe("one");
    bob.close();
    await ann.post("two");
    expect(await bob.plain()).toBe("two");
  });

  test("returns each text once to a caller without a cookie", async () => {
    for (const text of ["one", "two", "three"]) await ann.post(text);
    expect([await bob.plainWith(), await bob.plainWith(), await bob.plainWith()]).toEqual([
      "one",
      "two",
      "three",
    ]);
    const poll = bob.plainWith();
    await until(() => running.chat.waiting === 1);
    await ann.post("four");
    expect(await poll).toBe("four");
  });

  test("skips no text for a caller without a cookie that disconnects while it is held", async () => {
    const socket = connect(running.server.address() as { port: number });
    socket.write(`GET /get_post/bob HTTP/1.1\r\nHost: x\r\nCookie: ${bob.cookie}\r\n\r\n`);
    await until(() => running.chat.waiting === 1);
    socket.destroy();
    await until(() => running.chat.waiting === 0);
    await ann.post("kept");
    expect(await bob.plainWith()).toBe("kept");
  });

  test("starts at the log-in for a caller with an expired name", async () => {
    const small = await startChat({ maxNames: 1, grace: 60_000 });
    await small.chat.post({ user: "host", text: "before the log-in" });
    const cat = await Person.login(small.url, "cat");
    await small.chat.post({ user: "host", text: "after the log-in" });
    await cat.ask("leave/cat", { method: "POST" });
    const dan = await Person.login(small.url, "dan");
    await dan.ask("logout", { method: "POST" });
    expect(await cat.plainWith()).toBe("after the log-in");
    await small.close();
  });

  test("skips no message after a HEAD", async () => {
    await ann.post("kept");
    expect(await bob.ask("get_post/bob", { method: "HEAD" })).toMatchObject({ status: 200, body: "" });
    expect(await bob.plain()).toBe("kept");
  });

  test("on two pages of one user returns the message on both", async () => {
    const polls = [bob.plain(), bob.plain()];
    await until(() => running.chat.waiting === 2);
    await ann.post("both");
    expect(await Promise.all(polls)).toEqual(["both", "both"]);
  });
});
