/** `longPollHandler`, over real HTTP. */
import { setMaxListeners } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { expect, test, vi } from "vitest";
import { Feed, type FeedOptions, longPollHandler } from "../../src/feed/index.js";
import { listen } from "../http/listen.js";
import { json, line, Raw, request } from "./http.js";
import { until } from "./poll.js";

async function start(options: FeedOptions<unknown> = {}) {
  const feed = new Feed<unknown>(options);
  return { feed, ...(await listen(longPollHandler(feed))) };
}

test("a poll is held until an event comes, and gets it as it was pushed", async () => {
  const { feed, url } = await start();
  const events = [{ text: '</script>"\\\u2028 😀 字', n: [1.5, null, true], __proto__: 1 }, "", 0, null, []];
  for (const event of events) {
    const poll = request(`${url}?since=now&wait=60`);
    await until(() => feed.waiting === 1);
    const cursor = feed.push(event);
    const { status, body } = await poll;
    expect([status, JSON.parse(body)]).toEqual([200, { cursor, events: [event] }]);
  }
});

test("a reply is JSON that is not cached and not sniffed", async () => {
  const { feed, url } = await start();
  feed.push("字");
  const { headers, body } = await request(`${url}?since=0&wait=0`);
  expect(headers).toMatchObject({
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(body)),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
});

test("a wait ends with an empty batch, and is 10 seconds by default", async () => {
  const { feed, url } = await start();
  const cursor = feed.lastId;
  expect(await json(`${url}?since=now&wait=0.2`)).toEqual({ cursor, events: [] });
  const spy = vi.spyOn(feed, "poll");
  const poll = json(`${url}?since=now`);
  await until(() => feed.waiting === 1);
  expect(spy.mock.calls[0]?.[0].wait).toBe(10_000);
  feed.close();
  await poll;
});

test("a newer poll of the same client supersedes the older one", async () => {
  const { feed, url } = await start();
  const older = json(`${url}?since=now&client=page`);
  const other = json(`${url}?since=now&client=another`);
  await until(() => feed.waiting === 2);
  const cursor = feed.lastId;
  expect(await json(`${url}?since=now&wait=0&client=page`)).toEqual({ cursor, events: [] });
  expect(await older).toEqual({ cursor, events: [], superseded: true });
  expect(feed.waiting).toBe(1);
  feed.push(1);
  expect((await other).events).toEqual([1]);
});

test.each([
  ...["", "since=", "since=yesterday", "since=-1-2", "since=1-2%0A", "since=%E0%A4%A", "since=17"].map(
    (query) => [query, "bad_cursor"] as const,
  ),
  ...["60.1", "-1", "", "1e1", "0x1", "Infinity"].map(
    (wait) => [`since=0&wait=${wait}`, "bad_request"] as const,
  ),
  ...["since=0&wait", "since=0&wait&x=%20", "client&since=0"].map((query) => [query, "bad_request"] as const),
  ["since&since=0", "bad_cursor"] as const,
  ...["", "x".repeat(65), "a+b", "a.b"].map((client) => [`since=0&client=${client}`, "bad_request"] as const),
])("a poll with %j is 400 %s, and its connection stays usable", async (query, code) => {
  const { feed, port } = await start();
  feed.push(1);
  const raw = new Raw(port);
  raw.send(line(query), line("since=0&wait=0"));
  await until(() => raw.statuses.length === 2);
  expect(raw.statuses).toEqual([400, 200]);
  expect(raw.text).toContain(`{"error":{"code":"${code}","message":`);
  expect(raw.text).toContain("Cache-Control: no-store");
});

test.each([
  ["a percent-encoded cursor", (id: string) => `?since=${id.replace("-", "%2D")}`],
  ["the first of two cursors", (id: string) => `?since=${id}&since=0`],
  ["unknown fields before it", (id: string) => `?x&client=a&=&wait=0.0&y=since%3D0&since=${id}`],
  ["the longest wait and client", (id: string) => `?since=${id}&wait=60&client=${"-".repeat(64)}`],
  ["fields in the path too", (id: string) => `a/&since=5/&client=a.b?since=${id}&wait=0`],
])("a poll with %s is answered", async (_, path) => {
  const { feed, url } = await start();
  const id = feed.push(1);
  feed.push(2);
  expect((await json(`${url}${path(id)}`)).events).toEqual([2]);
});

test("another method than GET and HEAD is not allowed", async () => {
  const { feed, url } = await start();
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
    const { status, headers, body } = await request(`${url}?since=0`, { method });
    const { code } = JSON.parse(body).error;
    expect([status, headers.allow, code]).toEqual([405, "GET, HEAD", "method_not_allowed"]);
  }
  expect(feed.waiting).toBe(0);
});

test("HEAD gets the head of a poll without a wait, and changes nothing", async () => {
  const feed = new Feed<number>();
  const { url } = await listen(longPollHandler(feed), { rejectNonStandardBodyWrites: true });
  const held = json(`${url}?since=now&wait=60&client=page`);
  await until(() => feed.waiting === 1);
  const head = await request(`${url}?since=now&wait=60&client=page`, { method: "HEAD" });
  expect([head.status, head.body, Number(head.headers["content-length"])]).toEqual([
    200,
    "",
    `${JSON.stringify(feed.read("now"))}\n`.length,
  ]);
  expect((await request(`${url}?since=x`, { method: "HEAD" })).status).toBe(400);
  expect(feed.waiting).toBe(1);
  feed.push(1);
  expect((await held).events).toEqual([1]);
});

test("a poll over the limit is 503 with Retry-After", async () => {
  const { feed, url } = await start({ maxWaiters: 1 });
  const held = json(`${url}?since=now&wait=60`);
  await until(() => feed.waiting === 1);
  const { status, headers, body } = await request(`${url}?since=now&wait=60`);
  expect([status, headers["retry-after"], JSON.parse(body).error.code]).toEqual([
    503,
    "2",
    "too_many_waiters",
  ]);
  expect((await request(`${url}?since=now&wait=0`)).status).toBe(200);
  feed.push(1);
  await held;
});

test("a closed connection leaves no waiter, 500 times", async () => {
  const { feed, url } = await start();
  for (let round = 0; round < 5; round++) {
    const abort = new AbortController();
    setMaxListeners(100, abort.signal);
    const polls = Promise.allSettled(
      Array.from({ length: 100 }, (_, n) =>
        request(`${url}?since=now&wait=60${n % 2 ? `&client=page${n}` : ""}`, { signal: abort.signal }),
      ),
    );
    await until(() => feed.waiting === 100);
    abort.abort();
    await until(() => feed.waiting === 0);
    for (const { status } of await polls) expect(status).toBe("rejected");
  }
});

test("a drain answers held polls and later ones with retry, and closes their connections", async () => {
  const { feed, port } = await start();
  const [held, late] = [new Raw(port), new Raw(port)];
  held.send(line("since=now&wait=60"));
  await until(() => feed.waiting === 1);
  feed.drain();
  late.send(line("since=now&wait=60"));
  for (const raw of [held, late]) {
    await raw.closed;
    expect(raw.text).toMatch(/\r\nConnection: close\r\n/);
    expect(JSON.parse(raw.text.split("\r\n\r\n")[1] ?? "")).toEqual({
      cursor: feed.lastId,
      events: [],
      retry: expect.any(Number),
    });
  }
});

test("a reply that throws closes its connection and goes to onError, and all other polls are answered", async () => {
  const errors: unknown[] = [];
  const feed = new Feed<number>({ onError: (error) => errors.push(error) });
  const handler = longPollHandler(feed);
  const { url } = await listen((req, res) => {
    if (req.url?.includes("broken")) {
      res.writeHead = () => {
        throw new Error("from writeHead");
      };
    }
    if (req.url?.includes("late")) {
      res.write = () => {
        throw new Error("from write");
      };
    }
    handler(req, res);
  });
  const polls = ["client=a", "client=broken", "client=b", "client=late", "client=c"].map((client) =>
    json(`${url}?since=now&wait=60&${client}`),
  );
  await until(() => feed.waiting === 5);
  feed.push(1);
  const results = await Promise.allSettled(polls);
  expect(results.map(({ status }) => status)).toEqual([
    "fulfilled",
    "rejected",
    "fulfilled",
    "rejected",
    "fulfilled",
  ]);
  expect(errors).toEqual([new Error("from writeHead"), new Error("from write")]);
  // An error that cannot be sent is handled alike.
  await expect(request(`${url}?since=x&broken`)).rejects.toThrow();
  expect(errors).toHaveLength(3);
  expect((await json(`${url}?since=0&wait=0`)).events).toEqual([1]);
});

test("a poll whose reply cannot be encoded gets 500, and all other polls are answered", async () => {
  const errors: unknown[] = [];
  let broken = 1;
  const { feed, url } = await start({
    onError: (error) => errors.push(error),
    encode(batch) {
      if (broken-- > 0) throw new Error("from encode");
      return JSON.stringify(batch);
    },
  });
  const polls = ["a", "b", "c"].map((client) => request(`${url}?since=now&wait=60&client=${client}`));
  await until(() => feed.waiting === 3);
  feed.push(1);
  const statuses = (await Promise.all(polls)).map(({ status }) => status);
  expect(statuses.sort()).toEqual([200, 200, 500]);
  broken = 1;
  const { status, body } = await request(`${url}?since=now&wait=0.01`);
  expect([status, JSON.parse(body).error.code]).toEqual([500, "internal"]);
  expect(errors).toEqual([new Error("from encode"), new Error("from encode")]);
  expect((await json(`${url}?since=0&wait=0`)).events).toEqual([1]);
});

test("a poll that the host has answered leaves no waiter", async () => {
  const { feed, url, server } = await start();
  server.prependListener("request", (_, res) => {
    setImmediate(() => res.writeHead(504).end("too slow"));
  });
  expect(await request(`${url}?since=now&wait=60`)).toMatchObject({ status: 504, body: "too slow" });
  await until(() => feed.waiting === 0);
  feed.push(1);
});

test("a middleware keeps the headers of the host, and calls next for other methods", async () => {
  const feed = new Feed<number>();
  const handler = longPollHandler(feed);
  const { url } = await listen((req, res) => {
    res.setHeader("Access-Control-Allow-Origin", "*");
    handler(req, res, () => res.writeHead(202).end("from next"));
  });
  feed.push(1);
  const { headers, body } = await request(`${url}?since=0`);
  expect([headers["access-control-allow-origin"], JSON.parse(body).events]).toEqual(["*", [1]]);
  expect(await request(url, { method: "POST" })).toMatchObject({ status: 202, body: "from next" });
  expect((await request(`${url}?since=x`)).status).toBe(400);
});

async function guarded(authorize: (req: IncomingMessage) => boolean | Promise<boolean>) {
  const errors: unknown[] = [];
  const feed = new Feed<number>({ onError: (error) => errors.push(error) });
  feed.push(1);
  return { feed, errors, ...(await listen(longPollHandler(feed, { authorize }))) };
}

test.each<[string, (req: IncomingMessage) => boolean | Promise<boolean>]>([
  ["at once", (req) => req.url?.includes("client=ann") === true],
  ["with a promise", async (req) => req.url?.includes("client=ann") === true],
  // As a host without types may do it: only `true` permits a poll.
  ["with other values", vi.fn((req) => (req.url?.includes("client=ann") ? true : JSON.parse("{}")))],
])("authorize decides %s who may poll", async (_, authorize) => {
  const { feed, url } = await guarded(authorize);
  expect((await json(`${url}?since=0&client=ann`)).events).toEqual([1]);
  // The check comes before everything else, so a malformed request is 401 too.
  for (const since of ["0", "x"]) {
    const { status, headers, body } = await request(`${url}?since=${since}&client=bob`);
    expect([status, JSON.parse(body).error.code]).toEqual([401, "unauthorized"]);
    expect(headers["cache-control"]).toBe("no-store");
  }
  expect(feed.waiting).toBe(0);
});

test("an authorize that throws or rejects is 500, and its error goes to onError", async () => {
  for (const authorize of [
    () => {
      throw new Error("secret");
    },
    () => Promise.reject(new Error("secret")),
  ]) {
    const { url, errors } = await guarded(authorize);
    const { status, body } = await request(`${url}?since=0`);
    expect([status, JSON.parse(body).error.code]).toEqual([500, "internal"]);
    expect(body).not.toContain("secret");
    expect(errors).toEqual([new Error("secret")]);
  }
});

test("a connection that closes while authorize is pending leaves no waiter", async () => {
  let decide: (allowed: boolean) => void = () => {};
  let asked = 0;
  const { feed, port, server } = await guarded(() => {
    asked++;
    return new Promise((resolve) => {
      decide = resolve;
    });
  });
  let closed = 0;
  server.on("request", (_, res: ServerResponse) => res.on("close", () => closed++));
  for (const allowed of [true, false]) {
    const raw = new Raw(port);
    raw.send(line("since=now&wait=60"));
    await until(() => asked === 1);
    raw.socket.destroy();
    await until(() => closed === 1);
    decide(allowed);
    await new Promise((resolve) => setImmediate(resolve));
    expect(feed.waiting).toBe(0);
    asked = closed = 0;
  }
});
