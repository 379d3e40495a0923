/** `longPollHandler`, over real HTTP. */
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { expect, test } from "vitest";
import { until } from "../wire/chat.js";
import { ask, code } from "../wire/person.js";
import { dial, get, statuses } from "../wire/raw.js";
import { awaited, endLater, json, start } from "./http.js";

test("a poll is held until an event comes, and gets it as it was pushed", async () => {
  const { feed, url } = await start();
  const events = [{ text: '</script>"\\\u2028 😀 字', n: [1.5, null, true], __proto__: 1 }, "", 0, null, []];
  for (const event of events) {
    // The default of 10 seconds ends after the test, so the event answers the poll.
    const poll = ask(`${url}?since=now`);
    await until(() => feed.waiting === 1);
    const cursor = feed.push(event);
    const { status, headers, body } = await poll;
    expect([status, JSON.parse(body)]).toEqual([200, { cursor, events: [event] }]);
    expect(headers).toMatchObject({
      "content-type": "application/json",
      "content-length": String(Buffer.byteLength(body)),
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    });
  }
});

test("a poll with a large body ends when its connection closes", async () => {
  const { feed, port, server } = await start();
  const accepted = once(server, "connection");
  const { socket } = dial(
    port,
    `${get("/?since=now&wait=60", "Content-Length: 300000")}${"b".repeat(300_000)}`,
  );
  const [other] = (await accepted) as [Socket];
  // From here on, Node would read no more of a body that nobody reads.
  await until(() => feed.waiting === 1 && other.bytesRead > 60_000);
  socket.destroy();
  // The wait ends after the time limit of the test.
  await until(() => feed.waiting === 0);
}, 30_000);

test("polls that the host has answered already leave their connection open", async () => {
  const { port } = await start({ wrap: (handler) => (req, res) => res.end(() => handler(req, res)) });
  const { text, send, socket } = dial(port);
  for (let n = 1; n <= 20; n++) {
    send(get("/?since=now"));
    await until(() => statuses(text()).length === n || socket.destroyed);
  }
  expect(socket.destroyed).toBe(false);
});

test("an error of encode arrives through a middleware that ends replies later", async () => {
  const { port, errors } = await start({
    encode: () => {
      throw new Error("cannot encode");
    },
    wrap: endLater,
  });
  const { text, send } = dial(port);
  for (let n = 1; n <= 2; n++) {
    send(get("/?since=0&wait=0"));
    await until(() => statuses(text()).length === n);
  }
  expect([statuses(text()), errors.length]).toEqual([[500, 500], 2]);
});

test("a newer poll of the same client supersedes the older one, and a wait ends with an empty batch", async () => {
  const { feed, url } = await start();
  const older = json(`${url}?since=now&client=page`);
  const other = json(`${url}?since=now&client=another`);
  await until(() => feed.waiting === 2);
  const cursor = feed.lastId;
  expect(await json(`${url}?since=now&wait=0.2&client=page`)).toEqual({ cursor, events: [] });
  expect(await older).toEqual({ cursor, events: [], superseded: true });
  expect(feed.waiting).toBe(1);
  feed.push(1);
  expect((await other).events).toEqual([1]);
});

test("a malformed poll is 400 with the code of its fault, and its connection stays usable", async () => {
  const { feed, port } = await start();
  feed.push(1);
  const sinces = ["", "since&since=0", "since=yesterday", "since=1-2%0A", "since=%E0%A4%A"];
  const waits = ["wait", "wait&x=%20", "wait=60.1", "wait=1e1"].map((wait) => `since=0&${wait}`);
  const queries = [...sinces, ...waits, "client&since=0", "since=0&client=a+b", "since=0&wait=0"];
  const { text } = dial(port, queries.map((query) => get(`/?${query}`)).join(""));
  await until(() => statuses(text()).length === queries.length);
  expect(statuses(text())).toEqual(queries.map((_, n) => (n < queries.length - 1 ? 400 : 200)));
  const codes = [...text().matchAll(/{"error":{"code":"(\w+)","message":"/g)].map(([, name]) => name);
  expect(codes).toEqual([...sinces.map(() => "bad_cursor"), ...Array(6).fill("bad_request")]);
});

test("a poll takes the first of several fields, in any encoding and order", async () => {
  const { feed, url } = await start();
  const id = feed.push(1);
  feed.push(2);
  for (const path of [
    `?since=${id.replace("-", "%2D")}`,
    `?since=${id}&since=0`,
    `?x&client=a&=&wait=0.0&y=since%3D0&since=${id}`,
    `?since=${id}&wait=60&client=${"-".repeat(64)}`,
    `a/&since=5/&client=a.b?since=${id}&wait=0`,
  ])
    expect((await json(url + path)).events, path).toEqual([2]);
});

test("HEAD gets the head of a poll without a wait, and changes nothing, and other methods are 405", async () => {
  const { feed, url } = await start({ server: { rejectNonStandardBodyWrites: true } });
  const held = json(`${url}?since=now&wait=60&client=page`);
  await until(() => feed.waiting === 1);
  const head = await ask(`${url}?since=now&wait=60&client=page`, { method: "HEAD" });
  const length = `${JSON.stringify(feed.read("now"))}\n`.length;
  expect([head.status, head.body, head.headers["content-length"]]).toEqual([200, "", `${length}`]);
  expect((await ask(`${url}?since=x`, { method: "HEAD" })).status).toBe(400);
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
    const reply = await ask(`${url}?since=0`, { method });
    expect([...code(reply), reply.headers.allow]).toEqual([405, "method_not_allowed", "GET, HEAD"]);
  }
  expect(feed.waiting).toBe(1);
  feed.push(1);
  expect((await held).events).toEqual([1]);
});

test("a poll over the limit is 503 with Retry-After", async () => {
  const { feed, url } = await start({ maxWaiters: 1 });
  const held = json(`${url}?since=now&wait=60`);
  await until(() => feed.waiting === 1);
  const reply = await ask(`${url}?since=now&wait=60`);
  expect([...code(reply), reply.headers["retry-after"]]).toEqual([503, "too_many_waiters", "2"]);
  expect((await ask(`${url}?since=now&wait=0`)).status).toBe(200);
  feed.push(1);
  await held;
});

test("a drain answers held polls and later ones with retry, and closes their connections", async () => {
  const { feed, port } = await start();
  const held = dial(port, get("/?since=now&wait=60"));
  await until(() => feed.waiting === 1);
  feed.drain();
  const late = dial(port, get("/?since=now&wait=60"));
  for (const { text } of [await held.closed, await late.closed]) {
    const [head, body = ""] = text.split("\r\n\r\n");
    expect(head).toContain("\r\nConnection: close");
    expect(JSON.parse(body)).toEqual({ cursor: feed.lastId, events: [], retry: expect.any(Number) });
  }
});

test("a poll whose encode throws gets 500, one whose reply throws is closed, and all others are answered", async () => {
  const fail = (from: string) => () => {
    throw new Error(from);
  };
  let encodes = 0;
  const { feed, errors, url } = await start({
    encode: (batch) => (encodes++ ? JSON.stringify(batch) : fail("encode")()),
    wrap: (handler) => (req, res) => {
      if (req.url?.includes("broken")) res.writeHead = fail("writeHead");
      if (req.url?.includes("late")) res.write = fail("write");
      handler(req, res);
    },
  });
  const clients = ["first", "a", "broken", "b", "late", "c"];
  const polls = clients.map((client) => ask(`${url}?since=now&wait=60&client=${client}`));
  await until(() => feed.waiting === clients.length);
  feed.push(1);
  const replies = await Promise.allSettled(polls);
  const statuses = replies.map((reply) => (reply.status === "fulfilled" ? reply.value.status : "closed"));
  expect(statuses).toEqual([500, 200, "closed", 200, "closed", 200]);
  // An error that cannot be sent is handled alike.
  await expect(ask(`${url}?since=x&broken`)).rejects.toThrow();
  encodes = 0;
  expect(code(await ask(`${url}?since=now&wait=0.01`))).toEqual([500, "internal"]);
  const all = ["encode", "writeHead", "write", "writeHead", "encode"];
  expect(errors).toEqual(all.map((from) => new Error(from)));
});

test("a middleware keeps the headers of the host, and calls next for other methods", async () => {
  const { feed, url } = await start({
    wrap: (handler) => (req, res) => {
      res.setHeader("Access-Control-Allow-Origin", "*");
      handler(req, res, () => res.writeHead(202).end("from next"));
    },
  });
  feed.push(1);
  const { headers, body } = await ask(`${url}?since=0`);
  expect([headers["access-control-allow-origin"], JSON.parse(body).events]).toEqual(["*", [1]]);
  expect(await ask(url, { method: "POST" })).toMatchObject({ status: 202, body: "from next" });
  expect((await ask(`${url}?since=x`)).status).toBe(400);
});

test("authorize decides who may poll, at once or with a promise, and only true permits", async () => {
  const isAnn = (req: IncomingMessage) => req.url?.includes("client=ann") === true;
  const answers = [isAnn, async (req: IncomingMessage) => isAnn(req)];
  // As a host without types may do it.
  for (const authorize of [...answers, (req: IncomingMessage) => isAnn(req) || JSON.parse("{}")]) {
    const { feed, url } = await start({ authorize });
    feed.push(1);
    expect((await json(`${url}?since=0&client=ann`)).events).toEqual([1]);
    // The check comes before everything else, so a malformed request is 401 too.
    for (const since of ["0", "x"]) {
      const reply = await ask(`${url}?since=${since}&client=bob`);
      expect([...code(reply), reply.headers["cache-control"]]).toEqual([401, "unauthorized", "no-store"]);
    }
  }
});

test("an authorize that throws or rejects is 500, and its error goes to onError", async () => {
  const throws = () => {
    throw new Error("secret");
  };
  for (const authorize of [throws, () => Promise.reject(new Error("secret"))]) {
    const { url, errors } = await start({ authorize });
    const reply = await ask(`${url}?since=0`);
    expect(code(reply)).toEqual([500, "internal"]);
    expect(reply.body).not.toContain("secret");
    expect(errors).toEqual([new Error("secret")]);
  }
});

test("a connection that closes before authorize resolves leaves no waiter", async () => {
  for (const allowed of [true, false]) {
    const [asked, decided, closed] = [awaited(), awaited<boolean>(), awaited()];
    const { feed, port } = await start({
      authorize(req) {
        req.socket.on("close", closed.resolve);
        asked.resolve();
        return decided.promise;
      },
    });
    const { socket } = dial(port, get("/?since=now&wait=60"));
    await asked.promise;
    socket.destroy();
    await closed.promise;
    decided.resolve(allowed);
    await new Promise((resolve) => setImmediate(resolve));
    expect(feed.waiting).toBe(0);
  }
});
