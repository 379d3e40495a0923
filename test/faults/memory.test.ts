/**
 * Requests leave nothing in memory. Each server here has a heap of 50 MB and gets more bytes than that. A server
 * that keeps them ends with "heap out of memory".
 */
import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ask, Person } from "../wire/person.js";
import { type Server, startServerWith } from "../wire/server.js";

let server: Server;
beforeEach(async () => {
  server = await startServerWith({ NODE_OPTIONS: "--max-old-space-size=50" });
});
afterEach(async () => {
  const ann = await Person.login(server.url, "still here");
  await ann.post("all is well");
  expect(await server.stop()).toBe(0);
  expect(server.stderr()).toBe("");
});

const FORM = { "Content-Type": "application/x-www-form-urlencoded" };

/** Opens a connection and writes. Resolves when everything is sent, or when the server has closed the connection. */
function send(bytes: string): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(server.port, "127.0.0.1");
    const done = () => resolve(socket);
    socket.on("error", done).on("close", done);
    socket.write(bytes, done);
  });
}

/** Waits until the server has read what was sent. In each turn of its loop, it answers one request and reads 64 KiB of each connection. */
async function readAll(): Promise<void> {
  for (let n = 0; n < 20; n++) expect((await ask(`${server.url}/healthz`)).status).toBe(200);
}

test("unfinished bodies in chunks of one byte use no more memory than their bytes", async () => {
  const ann = await Person.login(server.url, "ann");
  const head = `POST /get_post/ann HTTP/1.1\r\nHost: x\r\nCookie: ${ann.cookie}\r\nTransfer-Encoding: chunked\r\n\r\n`;
  const sockets: Socket[] = [];
  for (let n = 0; n < 15; n++) sockets.push(await send(head + "1\r\nx\r\n".repeat(65_000)));
  await readAll();
  for (const socket of sockets) socket.destroy();
});

test("hundreds of pipelined polls for the whole backlog do not exhaust the memory", async () => {
  const ann = await Person.login(server.url, "ann");
  // One character of four bytes makes each a string of two bytes a character.
  for (let n = 0; n < 1000; n++) await ann.post(`${"x".repeat(1999)}😀`);
  const sockets: Socket[] = [];
  for (let n = 0; n < 4; n++) {
    const polls = Array.from(
      { length: 300 },
      (_, i) =>
        `GET /get_post/ann?since=${n}-${i}&wait=0 HTTP/1.1\r\nHost: x\r\nCookie: ${ann.cookie}\r\n\r\n`,
    );
    const socket = await send(polls.join(""));
    sockets.push(socket.pause());
  }
  await readAll();
  for (const socket of sockets) socket.destroy();
});

/** Runs `count` times the same work in each of eight workers. */
const repeat = (count: number, work: (id: string) => Promise<void>) =>
  Promise.all(
    Array.from({ length: 8 }, async (_, worker) => {
      for (let n = 0; n < count; n++) await work(`somebody-or-other-${worker}-${n}`);
    }),
  );

test("a name does not keep the body of its request in memory", async () => {
  const padding = "y".repeat(60_000);
  await repeat(150, async (name) => {
    const body = `name=${name}&padding=${padding}`;
    expect((await ask(`${server.url}/login`, { method: "POST", headers: FORM, body })).status).toBe(303);
  });
});

test("a request does not keep its URL in memory", async () => {
  const padding = "y".repeat(7_000);
  await repeat(1_000, async (name) => {
    expect((await ask(`${server.url}/chatroom/${name}?${padding}`)).status).toBe(308);
  });
});

test("a held poll whose client disconnects leaves nothing in memory", async () => {
  const ann = await Person.login(server.url, "ann");
  const padding = "y".repeat(7_000);
  await repeat(1_000, async (client) => {
    const query = `since=now&wait=60&client=${client}`;
    const head = `GET /get_post/ann?${query} HTTP/1.1\r\nHost: x\r\nCookie: ${ann.cookie}\r\nX: ${padding}\r\n\r\n`;
    (await send(head)).destroy();
  });
  await readAll();
});

test("a message does not keep the rest of its request in memory", async () => {
  const ann = await Person.login(server.url, "ann");
  const padding = `padding=${"y".repeat(63_000)}`;
  for (let n = 0; n < 1100; n++) {
    const message = `message=something-or-other-${n}&key=some-key-or-other-${n}`;
    const body = n % 2 ? `${message}&${padding}` : `${padding}&${message}`;
    expect((await ann.ask("put_post/ann", { method: "POST", headers: FORM, body })).status).toBe(200);
  }
});
