/** Requests that are sent before the earlier ones of their connection are answered (RFC 9112, section 9.3.2). */
import { once } from "node:events";
import { expect, test } from "vitest";
import { until } from "../wire/chat.js";
import { dial, get, statuses } from "../wire/raw.js";
import { events, json, start as startFeed } from "./http.js";

const HELD = get("/?since=now&wait=60");
const PAGE = get("/?since=now&wait=60&client=page");
const AT_ONCE = get("/?since=0&wait=0");
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Starts a feed. Its host ends the connection of a request with `last`. */
const start = (options: Parameters<typeof startFeed>[0] = {}) =>
  startFeed({
    ...options,
    wrap: (handler) => (req, res) => {
      if (req.url?.includes("last")) res.shouldKeepAlive = false;
      handler(req, res);
    },
  });

test("a pipelined poll waits for the replies before it, and is then held", async () => {
  const { feed, port, read } = await start();
  const { text, send } = dial(port, HELD + HELD + get("/?since=0&wait=60"));
  await until(() => read() === 3);
  expect(feed.waiting).toBe(1);
  feed.push(1);
  await until(() => statuses(text()).length === 1 && feed.waiting === 1);
  feed.push(2);
  await until(() => statuses(text()).length === 3);
  // The second was asked for what comes after its turn, and its turn came when 1 was there.
  expect(events(text())).toEqual([1, 2, 1, 2]);
  send(AT_ONCE);
  await until(() => statuses(text()).length === 4);
});

test("authorize is called after the replies before the request, and errors are sent in order", async () => {
  const asked: string[] = [];
  const { feed, port, read } = await start({
    authorize(req) {
      asked.push(req.url ?? "");
      return !req.url?.includes("bob");
    },
  });
  const { text } = dial(port, HELD + get("/?since=0&client=bob") + get("/?since=x") + AT_ONCE);
  await until(() => read() === 4 && feed.waiting === 1);
  expect(asked).toHaveLength(1);
  feed.push(1);
  await until(() => statuses(text()).length === 4);
  expect([statuses(text()), asked.length]).toEqual([[200, 401, 400, 200], 4]);
});

test("a request that Node reads after a closing reply is not executed", async () => {
  const { feed, url, port } = await start();
  feed.push(1);
  const older = json(`${url}?since=now&wait=60&client=page`);
  await until(() => feed.waiting === 1);
  for (let turns = 0; turns < 40; turns++) {
    // The second waits for its turn, which never comes. Node gives the socket to the one that comes after the reply.
    const { send, closed } = dial(port, get("/?since=0&wait=0&last") + AT_ONCE);
    for (let n = 0; n < turns % 8; n++) await turn();
    send(get("/?since=0&wait=0&client=page") + HELD + get("/?since=x"));
    expect([(await closed).statuses, feed.waiting]).toEqual([[200], 1]);
  }
  feed.push(2);
  // None of them superseded this one.
  expect(await older).toMatchObject({ events: [2] });
});

test("16 requests are queued behind one, and one more closes the connection", async () => {
  const { feed, port } = await start();
  feed.push(1);
  const patient = dial(port);
  // After the replies the queue is empty, so it may be filled again.
  for (const replies of [17, 34]) {
    patient.send(PAGE + AT_ONCE.repeat(16));
    await until(() => feed.waiting === 1);
    feed.push(2);
    await until(() => statuses(patient.text()).length === replies);
  }
  for (const more of [17, 3000])
    expect((await dial(port, PAGE + AT_ONCE.repeat(more)).closed).statuses).toEqual([]);
  await until(() => feed.waiting === 0);
});

test("a poll with a body is answered, and its body is not read as the next request", async () => {
  const { feed, port } = await start();
  feed.push(1);
  const body = get("/?since=0&wait=0&smuggled");
  const { text, send } = dial(
    port,
    get("/?since=0&wait=0", `Content-Length: ${body.length}`) + body + AT_ONCE,
  );
  await until(() => statuses(text()).length === 2);
  const chunk = `${(100_000).toString(16)}\r\n${"x".repeat(100_000)}\r\n0\r\n\r\n`;
  send(get("/?since=0&wait=0", "Transfer-Encoding: chunked") + chunk + HELD);
  await until(() => statuses(text()).length === 3 && feed.waiting === 1);
  feed.push(2);
  await until(() => statuses(text()).length === 4);
  expect(events(text())).toEqual([1, 1, 1, 2]);
});

test("random pipelines with closing replies, bodies and resets leave no waiter", async () => {
  const { feed, url, port } = await start({
    authorize: (req) => (req.url?.includes("a=1") ? Promise.resolve(true) : true),
  });
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 48271) % 2147483647;
    return seed % below;
  };
  const kinds = [
    () => get(`/?since=0&wait=0&a=${random(2)}`),
    () => get(`/?since=now&wait=0.0${random(9)}&a=${random(2)}`),
    () => get(`/?since=now&wait=60&client=c${random(3)}`),
    () => get("/?since=x"),
    () => get("/?since=0&wait=0", "Connection: close"),
    () => get("/?since=0&wait=0&last"),
    () => `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n${"x".repeat(random(2) * 70_000)}`,
    () => get("/?since=0&wait=0", "Content-Length: 3") + (random(2) ? "abc" : ""),
    () => "GARBAGE\r\n\r\n",
  ];
  const requests = () => Array.from({ length: 1 + random(20) }, () => kinds[random(kinds.length)]?.());
  for (let round = 0; round < 60; round++) {
    const sockets = Array.from({ length: 5 }, () => dial(port, requests().join("")).socket);
    await Promise.all(sockets.map((socket) => (socket.connecting ? once(socket, "connect") : undefined)));
    for (let turns = random(10); turns > 0; turns--) await turn();
    feed.push(round);
    for (const socket of sockets) if (random(2)) socket.destroy();
    for (let turns = random(10); turns > 0; turns--) await turn();
    for (const socket of sockets) socket.destroy();
  }
  await until(() => feed.waiting === 0);
  expect(await json(`${url}?since=now&wait=0`)).toEqual({ cursor: feed.lastId, events: [] });
});
