/** Pipelined requests: executed in order and one at a time, or not at all. */
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { chatPerTest, until } from "./chat.js";
import { ask, Person, texts } from "./person.js";
import { hear, statuses } from "./raw.js";
import { type Server, startServer } from "./server.js";

let server: Server;
beforeAll(async () => {
  server = await startServer();
});
afterAll(async () => {
  expect(await server.stop()).toBe(0);
  expect(server.stderr()).toBe("");
});
const start = chatPerTest();

const FORM = "Content-Type: application/x-www-form-urlencoded";
const tooLarge = `POST /login HTTP/1.1\r\nHost: x\r\n${FORM}\r\nContent-Length: 65537\r\n\r\n${"n".repeat(65_537)}`;

function get(path: string, person: Person): string {
  return `GET ${path} HTTP/1.1\r\nHost: x\r\nCookie: ${person.cookie}\r\n\r\n`;
}

function post(text: string, person: Person, ...headers: string[]): string {
  const head = [`POST /put_post/${person.name} HTTP/1.1`, "Host: x", `Cookie: ${person.cookie}`, FORM];
  const body = `message=${text}`;
  return `${[...head, ...headers, `Content-Length: ${body.length}`].join("\r\n")}\r\n\r\n${body}`;
}

/** Returns the texts that this user posted. */
async function said(person: Person): Promise<string[]> {
  const { messages } = await person.batch("since=0&wait=0");
  return messages.filter(({ user, text }) => user === person.name && text !== "").map(({ text }) => text);
}

test.each([
  ["a body of five bytes", "Content-Length: 5\r\n\r\nhello"],
  ["a chunked body", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"],
])("a poll behind a closing reply and %s is not answered, and the server stays up", async (what, body) => {
  const ann = await Person.login(server.url, `ann ${what}`);
  const nothing = `GET /nothing HTTP/1.1\r\nHost: x\r\n${body}`;
  const sequence = tooLarge + nothing + get(`/get_post/${encodeURIComponent(ann.name)}?since=0&wait=1`, ann);
  const replies = await Promise.all(Array.from({ length: 20 }, () => hear(server.port, sequence)));
  for (const { statuses } of replies) expect(statuses).toEqual([413]);
  expect((await ask(`${server.url}/healthz`)).body).toBe("ok");
});

test("a post behind a closing reply is not executed", async () => {
  const bob = await Person.login(server.url, "bob");
  const closing = [
    tooLarge + post("behind-413", bob),
    post("first", bob, "Connection: close") + post("behind-close", bob),
    get("/get_post/bob?since=now&wait=0", bob).replace("Host: x", "Host: x\r\nConnection: close") +
      post("behind-poll", bob),
  ];
  for (const sequence of closing) expect((await hear(server.port, sequence)).statuses).toHaveLength(1);
  expect(await said(bob)).toEqual(["first"]);
});

test("a post in a later packet after a closing reply is not executed", async () => {
  const cat = await Person.login(server.url, "cat");
  const socket = connect({ port: server.port, host: "127.0.0.1", allowHalfOpen: true });
  socket.setEncoding("latin1").on("error", () => {});
  socket.write(post("once", cat, "Connection: close"));
  const closed = new Promise<string>((resolve) => {
    let text = "";
    socket.on("data", (piece: string) => {
      text += piece;
      socket.write(post("twice", cat));
    });
    socket.on("end", () => socket.end());
    socket.on("close", () => resolve(text));
  });
  expect(statuses(await closed)).toEqual([200]);
  expect(await said(cat)).toEqual(["once"]);
});

test("requests behind a held poll wait for it and are answered in order", async () => {
  const { url, chat, server } = await start();
  const { port } = server.address() as { port: number };
  const ann = await Person.login(url, "ann");
  await ann.batch("since=now&wait=0");
  const last = get("/healthz", ann).replace("Host: x", "Host: x\r\nConnection: close");
  const poll = get("/get_post/ann?since=now&wait=60", ann);
  const heard = hear(port, poll + post("behind", ann) + get("/who", ann) + last);
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

test("a closed connection drops the requests behind its held poll", async () => {
  const { url, chat, server } = await start();
  const { port } = server.address() as { port: number };
  const ann = await Person.login(url, "ann");
  await ann.batch("since=now&wait=0");
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(get("/get_post/ann?since=now&wait=60", ann) + post("never", ann));
  await until(() => chat.waiting === 1);
  socket.resetAndDestroy();
  await until(() => chat.waiting === 0);
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual([]);
});

test("more than sixteen requests behind an unanswered one close the connection", async () => {
  const { url, chat, server } = await start();
  const { port } = server.address() as { port: number };
  const ann = await Person.login(url, "ann");
  await ann.batch("since=now&wait=0");
  const poll = get("/get_post/ann?since=now&wait=60", ann);
  expect((await hear(port, poll + get("/healthz", ann).repeat(17))).statuses).toEqual([]);
  await until(() => chat.waiting === 0);
  // Sixteen are allowed, any number of times.
  const socket = connect(port, "127.0.0.1");
  let text = "";
  socket.setEncoding("latin1").on("data", (piece: string) => {
    text += piece;
  });
  for (let round = 1; round <= 3; round++) {
    socket.write(poll + get("/healthz", ann).repeat(16));
    await until(() => chat.waiting === 1);
    await ann.post(`round${round}`);
    await until(() => statuses(text).length === 17 * round);
  }
  socket.destroy();
  await until(() => chat.waiting === 0);
});
