/** Requests that are sent before the earlier ones of their connection are answered (RFC 9112, section 9.3.2). */
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { Feed, longPollHandler } from "../../src/feed/index.js";
import { listen } from "../http/listen.js";
import { json, line, Raw } from "./http.js";
import { until } from "./poll.js";

async function start(authorize?: (req: IncomingMessage) => boolean | Promise<boolean>) {
  const feed = new Feed<number>();
  const handler = longPollHandler(feed, authorize && { authorize });
  /** The requests that Node has read. */
  let read = 0;
  const listening = await listen((req, res) => {
    read++;
    // As a host does that wants to end a connection.
    if (req.url?.includes("last")) res.shouldKeepAlive = false;
    handler(req, res);
  });
  return { feed, read: () => read, ...listening };
}

test("a pipelined poll waits for the replies before it, and is then held", async () => {
  const { feed, port, read } = await start();
  const raw = new Raw(port);
  raw.send(line("since=now&wait=60"), line("since=now&wait=60"), line("since=0&wait=60"));
  await until(() => read() === 3);
  expect(feed.waiting).toBe(1);
  feed.push(1);
  await until(() => raw.statuses.length === 1 && feed.waiting === 1);
  feed.push(2);
  await until(() => raw.statuses.length === 3);
  // The second was asked for what comes after its turn, and its turn came when 1 was there.
  expect(raw.events).toEqual([1, 2, 1, 2]);
  raw.send(line("since=0&wait=0"));
  await until(() => raw.statuses.length === 4);
});

test("authorize is called after the replies before the request, and errors are sent in order", async () => {
  const asked: string[] = [];
  const { feed, port, read } = await start((req) => {
    asked.push(req.url ?? "");
    return !req.url?.includes("bob");
  });
  const raw = new Raw(port);
  raw.send(line("since=now&wait=60"), line("since=0&client=bob"), line("since=x"), line("since=0&wait=0"));
  await until(() => read() === 4 && feed.waiting === 1);
  expect(asked).toHaveLength(1);
  feed.push(1);
  await until(() => raw.statuses.length === 4);
  expect([raw.statuses, asked.length]).toEqual([[200, 401, 400, 200], 4]);
});

test("a queued poll whose connection closes is not executed and leaves no waiter", async () => {
  const { feed, port, read } = await start();
  const older = json(`http://127.0.0.1:${port}/?since=now&wait=60&client=page`);
  await until(() => feed.waiting === 1);
  const raw = new Raw(port);
  raw.send(line("since=now&wait=60"), line("since=now&wait=60&client=page"));
  await until(() => read() === 3 && feed.waiting === 2);
  raw.socket.destroy();
  await until(() => feed.waiting === 1);
  feed.push(1);
  // It did not supersede this one.
  expect(await older).toMatchObject({ events: [1] });
});

test("a request behind a reply that closes the connection is dropped", async () => {
  const { feed, port, read } = await start();
  const raw = new Raw(port);
  raw.send(
    line("since=now&wait=60&last"),
    line("since=0&wait=1"),
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    line("since=0&wait=0"),
  );
  await until(() => read() === 4 && feed.waiting === 1);
  feed.push(1);
  await raw.closed;
  expect([raw.statuses, raw.events, feed.waiting]).toEqual([[200], [1], 0]);
});

test("a request that Node reads after a closing reply is not executed", async () => {
  const { feed, port, read } = await start();
  feed.push(1);
  const older = json(`http://127.0.0.1:${port}/?since=now&wait=60&client=page`);
  await until(() => feed.waiting === 1);
  for (let turns = 0; turns < 40; turns++) {
    const before = read();
    const raw = new Raw(port);
    // The second waits for its turn, which never comes. Node gives the socket to the one that comes after the reply.
    raw.send(line("since=0&wait=0&last"), line("since=0&wait=0"));
    for (let turn = 0; turn < turns % 8; turn++) await new Promise((resolve) => setImmediate(resolve));
    raw.send(line("since=0&wait=0&client=page"), line("since=now&wait=60"), line("since=x"));
    await raw.closed;
    expect([raw.statuses, feed.waiting]).toEqual([[200], 1]);
    expect(read()).toBeGreaterThan(before);
  }
  feed.push(2);
  // None of them superseded this one.
  expect(await older).toMatchObject({ events: [2] });
});

test("a drain answers the held poll, closes its connection, and drops the requests behind it", async () => {
  const { feed, port, read } = await start();
  const raw = new Raw(port);
  raw.send(...Array.from({ length: 5 }, () => line("since=now&wait=60")));
  await until(() => read() === 5 && feed.waiting === 1);
  feed.drain();
  await raw.closed;
  expect([raw.statuses, feed.waiting]).toEqual([[200], 0]);
});

test("16 requests are queued behind one, and one more closes the connection", async () => {
  const { feed, port } = await start();
  feed.push(1);
  const held = line("since=now&wait=60&client=page");
  const queued = (count: number) => Array.from({ length: count }, () => line("since=0&wait=0"));
  const patient = new Raw(port);
  patient.send(held, ...queued(16));
  await until(() => feed.waiting === 1);
  feed.push(2);
  await until(() => patient.statuses.length === 17);
  // The queue is empty now, so it may be filled again.
  patient.send(held, ...queued(16));
  await until(() => feed.waiting === 1);
  feed.push(3);
  await until(() => patient.statuses.length === 34);
  const greedy = new Raw(port);
  greedy.send(held, ...queued(17));
  await greedy.closed;
  expect(greedy.statuses).toEqual([]);
  await until(() => feed.waiting === 0);
});

test("thousands of pipelined requests close their connection and leave no waiter", async () => {
  const { feed, port, server } = await start();
  const raw = new Raw(port);
  const accepted = once(server, "connection");
  raw.send(...Array.from({ length: 3000 }, () => line("since=now&wait=60")));
  await accepted;
  await raw.closed;
  await until(() => feed.waiting === 0);
});

test("a poll with a body is answered, and its body is not read as the next request", async () => {
  const { feed, port } = await start();
  feed.push(1);
  const body = line("since=0&wait=0&smuggled");
  const raw = new Raw(port);
  raw.send(line("since=0&wait=0", `Content-Length: ${body.length}\r\n`), body, line("since=0&wait=0"));
  await until(() => raw.statuses.length === 2);
  raw.send(
    line("since=0&wait=0", "Transfer-Encoding: chunked\r\n"),
    `${(100_000).toString(16)}\r\n${"x".repeat(100_000)}\r\n0\r\n\r\n`,
    line("since=now&wait=60"),
  );
  await until(() => raw.statuses.length === 3 && feed.waiting === 1);
  feed.push(2);
  await until(() => raw.statuses.length === 4);
  expect(raw.events).toEqual([1, 1, 1, 2]);
});

test("random pipelines with closing replies, bodies and resets leave no waiter", async () => {
  const { feed, port } = await start((req) => (req.url?.includes("a=1") ? Promise.resolve(true) : true));
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 48271) % 2147483647;
    return seed % below;
  };
  const kinds = [
    () => line(`since=0&wait=0&a=${random(2)}`),
    () => line(`since=now&wait=0.0${random(9)}&a=${random(2)}`),
    () => line(`since=now&wait=60&client=c${random(3)}`),
    () => line("since=x"),
    () => line("since=0&wait=0", "Connection: close\r\n"),
    () => line("since=0&wait=0&last"),
    () => `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n${"x".repeat(random(2) * 70_000)}`,
    () => line("since=0&wait=0", "Content-Length: 3\r\n") + (random(2) ? "abc" : ""),
    () => "GARBAGE\r\n\r\n",
  ];
  for (let round = 0; round < 60; round++) {
    const raws = Array.from({ length: 5 }, () => {
      const raw = new Raw(port);
      raw.send(...Array.from({ length: 1 + random(20) }, () => kinds[random(kinds.length)]?.() ?? ""));
      return raw;
    });
    await Promise.all(raws.map(({ socket }) => (socket.connecting ? once(socket, "connect") : undefined)));
    for (let turn = random(10); turn > 0; turn--) await new Promise((resolve) => setImmediate(resolve));
    feed.push(round);
    for (const { socket } of raws) if (random(2)) socket.destroy();
    for (let turn = random(10); turn > 0; turn--) await new Promise((resolve) => setImmediate(resolve));
    for (const { socket } of raws) socket.destroy();
  }
  await until(() => feed.waiting === 0);
  expect(await json(`http://127.0.0.1:${port}/?since=now&wait=0`)).toEqual({
    cursor: feed.lastId,
    events: [],
  });
});
