/** Pipelined requests: executed in order and one at a time, or not at all. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chatPerTest, type Running, until } from "./chat.js";
import { ask, Person, texts } from "./person.js";
import { dial, get, hear, post, statuses } from "./raw.js";
import { type Server, startServer } from "./server.js";

const tooLarge = post("/login", "n".repeat(65_537));
const CLOSE = "Connection: close";
const by = ({ cookie }: Person) => `Cookie: ${cookie}`;
const say = (text: string, person: Person, ...lines: string[]) =>
  post(`/put_post/${person.name}`, `message=${text}`, by(person), ...lines);

describe("behind a closing reply", () => {
  let server: Server;
  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(async () => {
    expect(await server.stop()).toBe(0);
    expect(server.stderr()).toBe("");
  });

  /** Returns the texts that this user posted. */
  async function said(person: Person): Promise<string[]> {
    const { messages } = await person.batch("since=0&wait=0");
    return messages.filter(({ user, kind }) => user === person.name && !kind).map(({ text }) => text);
  }

  test.each([
    ["a body of five bytes", "Content-Length: 5\r\n\r\nhello"],
    ["a chunked body", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"],
  ])("a poll after %s is not answered, and the server stays up", async (what, body) => {
    const ann = await Person.login(server.url, `ann ${what}`);
    const nothing = `GET /nothing HTTP/1.1\r\nHost: x\r\n${body}`;
    const poll = get(`/get_post/${ann.segment}?since=0&wait=1`, by(ann));
    const sequence = tooLarge + nothing + poll;
    const replies = await Promise.all(Array.from({ length: 20 }, () => hear(server.port, sequence)));
    for (const { statuses } of replies) expect(statuses).toEqual([413]);
    expect((await ask(`${server.url}/healthz`)).body).toBe("ok");
  });

  test("a post is not executed", async () => {
    const bob = await Person.login(server.url, "bob");
    for (const sequence of [
      tooLarge + say("behind-413", bob),
      say("first", bob, CLOSE) + say("behind-close", bob),
      get("/get_post/bob?since=now&wait=0", by(bob), CLOSE) + say("behind-poll", bob),
    ])
      expect((await hear(server.port, sequence)).statuses).toHaveLength(1);
    expect(await said(bob)).toEqual(["first"]);
  });

  test("a post in a later packet is not executed", async () => {
    const cat = await Person.login(server.url, "cat");
    const { socket, send, closed } = dial(server.port, say("once", cat, CLOSE));
    socket.on("data", () => send(say("twice", cat)));
    expect((await closed).statuses).toEqual([200]);
    expect(await said(cat)).toEqual(["once"]);
  });
});

describe("behind a held poll", () => {
  const start = chatPerTest();

  async function begin(): Promise<Running & { readonly ann: Person; readonly poll: string }> {
    const running = await start();
    const ann = await Person.login(running.url, "ann");
    await ann.end();
    return { ...running, ann, poll: get("/get_post/ann?since=now&wait=60", by(ann)) };
  }

  test("requests wait and are answered in order", async () => {
    const { chat, port, ann, poll } = await begin();
    const heard = hear(port, poll + say("behind", ann) + get("/who", by(ann)) + get("/healthz", CLOSE));
    await until(() => chat.waiting === 1);
    expect(texts(await ann.batch("since=0&wait=0"))).toEqual([]);
    await ann.post("go");
    const { text, statuses } = await heard;
    expect(statuses).toEqual([200, 200, 200, 200]);
    const signs = [/"text":"go"/, /\{"id":"[0-9-]+"\}/, /\{"count":1/, /ok$/];
    const places = signs.map((sign) => text.search(sign));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(Math.min(...places)).toBeGreaterThan(0);
  });

  test("requests are dropped when their connection closes", async () => {
    const { chat, port, ann, poll } = await begin();
    const { socket } = dial(port, poll + say("never", ann));
    await until(() => chat.waiting === 1);
    socket.resetAndDestroy();
    await until(() => chat.waiting === 0);
    expect(texts(await ann.batch("since=0&wait=0"))).toEqual([]);
  });

  test("more than sixteen requests close the connection", async () => {
    const { chat, port, ann, poll } = await begin();
    expect((await hear(port, poll + get("/healthz").repeat(17))).statuses).toEqual([]);
    await until(() => chat.waiting === 0);
    // Sixteen are allowed, any number of times.
    const { socket, send, text } = dial(port);
    for (let round = 1; round <= 3; round++) {
      send(poll + get("/healthz").repeat(16));
      await until(() => chat.waiting === 1);
      await ann.post(`round${round}`);
      await until(() => statuses(text()).length === 17 * round);
    }
    socket.destroy();
    await until(() => chat.waiting === 0);
  });
});
