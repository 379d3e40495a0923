/**
 * Requests leave nothing in memory. Each server here has a heap of 150 MB and gets several times as many bytes. A server
 * that keeps them ends with "heap out of memory".
 */
import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ask, Person } from "../wire/person.js";
import { type Server, startServer } from "../wire/server.js";

let server: Server;
beforeEach(async () => {
  const { NODE_OPTIONS } = process.env;
  process.env.NODE_OPTIONS = "--max-old-space-size=150";
  server = await startServer();
  if (NODE_OPTIONS === undefined) delete process.env.NODE_OPTIONS;
  else process.env.NODE_OPTIONS = NODE_OPTIONS;
});
afterEach(async () => {
  const ann = await Person.login(server.url, "still here");
  await ann.post("all is well");
  expect(await server.stop()).toBe(0);
  expect(server.stderr()).toBe("");
});

const FORM = { "Content-Type": "application/x-www-form-urlencoded" };

/** Opens a connection, writes, and resolves when all of it is out, or the server has closed it. */
function send(bytes: string): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(server.port, "127.0.0.1");
    const done = () => resolve(socket);
    socket.on("error", done).on("close", done);
    socket.write(bytes, done);
  });
}

/** The server has read what came before: in one turn of its loop it answers one of these, and takes 64 KiB of each connection. */
async function seen(): Promise<void> {
  for (let n = 0; n < 20; n++) expect((await ask(`${server.url}/healthz`)).status).toBe(200);
}

test("unfinished bodies in chunks of one byte use the memory of their bytes only", async () => {
  const ann = await Person.login(server.url, "ann");
  const head = `POST /get_post/ann HTTP/1.1\r\nHost: x\r\nCookie: ${ann.cookie}\r\nTransfer-Encoding: chunked\r\n\r\n`;
  const sockets: Socket[] = [];
  for (let n = 0; n < 80; n++) sockets.push(await send(head + "1\r\nx\r\n".repeat(65_000)));
  await seen();
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
  await seen();
  for (const socket of sockets) socket.destroy();
});

test("a name does not keep the body of its request in memory", async () => {
  const padding = "y".repeat(60_000);
  const come = async (_: unknown, worker: number) => {
    for (let n = 0; n < 500; n++) {
      const body = `name=somebody-or-other-${worker}-${n}&padding=${padding}`;
      expect((await ask(`${server.url}/login`, { method: "POST", headers: FORM, body })).status).toBe(303);
    }
  };
  await Promise.all(Array.from({ length: 8 }, come));
});

test("a request does not keep its URL in memory", async () => {
  const padding = "y".repeat(7_000);
  const come = async (_: unknown, worker: number) => {
    for (let n = 0; n < 2_000; n++) {
      const path = `chatroom/somebody-or-other-${worker}-${n}`;
      expect((await ask(`${server.url}/${path}?${padding}`)).status).toBe(308);
    }
  };
  await Promise.all(Array.from({ length: 8 }, come));
});

test("a message does not keep the rest of its request in memory", async () => {
  const ann = await Person.login(server.url, "ann");
  const padding = "y".repeat(63_000);
  for (let n = 0; n < 1000; n++) {
    const body = `message=something+or+other&key=some-key-or-other-${n}&padding=${padding}`;
    expect((await ann.ask("put_post/ann", { method: "POST", headers: FORM, body })).status).toBe(200);
  }
  for (let n = 0; n < 1000; n++) {
    const body = `padding=${padding}&message=something-${n}-or-other&key=another-key-or-other-${n}`;
    expect((await ann.ask("put_post/ann", { method: "POST", headers: FORM, body })).status).toBe(200);
  }
});
