/** Requests that use much memory: the server closes the connections that use most, and serves all others. */
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { until } from "../wire/chat.js";
import { Person, texts } from "../wire/person.js";
import { dial, get, post } from "../wire/raw.js";
import { type Server, startServer } from "../wire/server.js";

let server: Server;
let ann: Person;
const sockets: Socket[] = [];
let closed = 0;
beforeEach(async () => {
  server = await startServer();
  ann = await Person.login(server.url, "ann");
  closed = 0;
});
/** Returns the largest resident memory so far, in MB. The limits here are generous; mix.mjs measures it. */
const peak = () =>
  Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, "utf8"))?.[1]) / 1024;
afterEach(async () => {
  const bob = await Person.login(server.url, "bob");
  const { cursor } = await ann.batch("since=now&wait=0");
  await bob.post("all is well");
  expect(texts(await ann.batch(`since=${cursor}&wait=0`))).toEqual(["all is well"]);
  expect(peak()).toBeLessThan(300);
  for (const socket of sockets.splice(0)) socket.destroy();
  expect(await server.stop()).toBe(0);
});

/** Opens a connection and writes. A paused one reads nothing. */
async function send(bytes: string, paused = false): Promise<Socket> {
  const line = dial(server.port);
  sockets.push(line.socket);
  if (paused) line.socket.pause();
  void line.closed.then(() => closed++);
  await Promise.race([new Promise((resolve) => line.socket.write(bytes, resolve)), line.closed]);
  return line.socket;
}

const by = () => `Cookie: ${ann.cookie}`;
const poll = (query: string, ...fields: string[]) => get(`/get_post/ann?${query}`, by(), ...fields);

test("clients that read no replies are closed", async () => {
  for (let n = 0; n < 1_000; n++) await ann.post("x".repeat(1_990));
  const batches = (n: number) =>
    Array.from({ length: 16 }, (_, i) => poll(`since=${n}-${i}&wait=0`)).join("");
  for (let n = 0; n < 120; n++) await send(batches(n), true);
  await until(() => server.stderr() !== "");
  expect(server.stderr()).toMatch(/^holdline: too many bytes are buffered: \d+ connections are closed\n/);
});

test("connections with unfinished bodies are closed, the largest body first", async () => {
  const body = (bytes: number) => post("/put_post/ann", "b".repeat(bytes + 1), by()).slice(0, -1);
  const small = await send(body(100));
  for (let n = 0; n < 600; n++) await send(body(65_000));
  await until(() => closed > 100);
  expect(small.destroyed).toBe(false);
});

test("connections with requests behind a held poll are closed, the most requests first", async () => {
  const held = (n: number) => poll(`since=now&wait=60&client=${n}`);
  const large = get("/who", by(), `X-Large: ${"x".repeat(7_000)}`);
  const modest = await send(held(0) + large);
  for (let n = 1; n < 300; n++) await send(held(n) + large.repeat(16));
  await until(() => closed > 50);
  expect(modest.destroyed).toBe(false);
});

test("a held poll keeps neither its head nor its body", async () => {
  const held = (n: number) => `since=now&wait=60&client=${n}`;
  const body = `a=${"b".repeat(65_000)}`;
  for (let n = 0; n < 1_500; n += 3) {
    await send(poll(held(n), `X-Large: ${"x".repeat(7_000)}`));
    await send(post(`/get_post/ann?${held(n + 1)}`, body, by()));
    await send(poll(held(n + 2), `Content-Length: ${body.length}`) + body);
  }
  expect(closed).toBe(0);
  expect(peak()).toBeLessThan(200);
});
