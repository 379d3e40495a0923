/** `longPollHandler`, over real HTTP. */
import { setMaxListeners } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { expect, test } from "vitest";
import { until } from "../wire/chat.js";
import { ask, code } from "../wire/person.js";
import { dial, get, statuses } from "../wire/raw.js";
import { json, start } from "./http.js";

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

test("a wait ends with an empty batch", async () => {
  const { feed, url } = await start();
  expect(await json(`${url}?since=now&wait=0.2`)).toEqual({ cursor: feed.lastId, events: [] });
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

const BAD_CURSORS = [
  "",
  "since=",
  "since=yesterday",
  "since=-1-2",
  "since=1-2%0A",
  "since=%E0%A4%A",
  "since=17",
];
const BAD_WAITS = ["60.1", "-1", "", "1e1", "0x1", "Infinity"].map((wait) => `since=0&wait=${wait}`);
const BAD_CLIENTS = ["", "x".repeat(65), "a+b", "a.b"].map((client) => `since=0&client=${client}`);
test.each([
  ["cursor", "bad_cursor", [...BAD_CURSORS, "since&since=0"]],
  ["wait", "bad_request", [...BAD_WAITS, "since=0&wait", "since=0&wait&x=%20"]],
  ["client", "bad_request", [...BAD_CLIENTS, "client&since=0"]],
])("a poll with a malformed %s is 400 %s, and its connection stays usable", async (_, expected, queries) => {
  const { feed, url, port } = await start();
  feed.push(1);
  for (const query of queries) expect(code(await ask(`${url}?${query}`)), query).toEqual([400, expected]);
  const { text } = dial(port, get(`/?${queries[0]}`) + get("/?since=0&wait=0"));
  await until(() => statuses(text()).length === 2);
  expect(statuses(text())).toEqual([400, 200]);
  expect(text().match(/\r\nCache-Control: no-store\r\n/g)).toHaveLength(2);
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

test("a closed connection leaves no waiter, 500 times", async () => {
  const { feed, url } = await start();
  for (let round = 0; round < 5; round++) {
    const abort = new AbortController();
    const { signal } = abort;
    setMaxListeners(100, signal);
    const client = (n: number) => (n % 2 ? `&client=page${n}` : "");
    const poll = (n: number) => ask(`${url}?since=now&wait=60${client(n)}`, { signal });
    const polls = Promise.allSettled(Array.from({ length: 100 }, (_, n) => poll(n)));
    await until(() => feed.waiting === 100);
    abort.abort();
    await until(() => feed.waiting === 0);
    for (const { status } of await polls) expect(status).toBe("rejected");
  }
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

test("a reply that throws closes its connection and goes to onError, and all other polls are answered", async () => {
  const broken = (method: "write" | "writeHead", res: ServerResponse) => {
    res[method] = () => {
      throw new Error(`from ${method}`);
    };
  };
  const { feed, errors, url } = await start({
    wrap: (handler) => (req, res) => {
      if (req.url?.includes("broken")) broken("writeHead", res);
      if (req.url?.includes("late")) broken("write", res);
      handler(req, res);
    },
  });
  const polls = ["a", "broken", "b", "late", "c"].map((client) =>
    json(`${url}?since=now&wait=60&client=${client}`),
  );
  await until(() => feed.waiting === 5);
  feed.push(1);
  const isSent = (await Promise.allSettled(polls)).map(({ status }) => status === "fulfilled");
  expect(isSent).toEqual([true, false, true, false, true]);
  expect(errors).toEqual([new Error("from writeHead"), new Error("from write")]);
  // An error that cannot be sent is handled alike.
  await expect(ask(`${url}?since=x&broken`)).rejects.toThrow();
  expect(errors).toHaveLength(3);
});

test("a poll whose reply cannot be encoded gets 500, and all other polls are answered", async () => {
  let broken = 1;
  const { feed, errors, url } = await start({
    encode(batch) {
      if (broken-- > 0) throw new Error("from encode");
      return JSON.stringify(batch);
    },
  });
  const polls = ["a", "b", "c"].map((client) => ask(`${url}?since=now&wait=60&client=${client}`));
  await until(() => feed.waiting === 3);
  feed.push(1);
  expect((await Promise.all(polls)).map(({ status }) => status).sort()).toEqual([200, 200, 500]);
  broken = 1;
  expect(code(await ask(`${url}?since=now&wait=0.01`))).toEqual([500, "internal"]);
  expect(errors).toEqual([new Error("from encode"), new Error("from encode")]);
});

test("a poll that the host has answered leaves no waiter", async () => {
  const { feed, url, server } = await start();
  server.prependListener("request", (_, res) => {
    setImmediate(() => res.writeHead(504).end("too slow"));
  });
  expect(await ask(`${url}?since=now&wait=60`)).toMatchObject({ status: 504, body: "too slow" });
  await until(() => feed.waiting === 0);
  feed.push(1);
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

test.each<[string, (req: IncomingMessage) => boolean | Promise<boolean>]>([
  ["at once", (req) => req.url?.includes("client=ann") === true],
  ["with a promise", async (req) => req.url?.includes("client=ann") === true],
  // As a host without types may do it: only `true` permits a poll.
  ["with other values", (req) => (req.url?.includes("client=ann") ? true : JSON.parse("{}"))],
])("authorize decides %s who may poll", async (_, authorize) => {
  const { feed, url } = await start({ authorize });
  feed.push(1);
  expect((await json(`${url}?since=0&client=ann`)).events).toEqual([1]);
  // The check comes before everything else, so a malformed request is 401 too.
  for (const since of ["0", "x"]) {
    const reply = await ask(`${url}?since=${since}&client=bob`);
    expect([...code(reply), reply.headers["cache-control"]]).toEqual([401, "unauthorized", "no-store"]);
  }
  expect(feed.waiting).toBe(0);
});

test.each<[string, () => boolean | Promise<boolean>]>([
  [
    "throws",
    () => {
      throw new Error("secret");
    },
  ],
  ["rejects", () => Promise.reject(new Error("secret"))],
])("an authorize that %s is 500, and its error goes to onError", async (_, authorize) => {
  const { url, errors } = await start({ authorize });
  const reply = await ask(`${url}?since=0`);
  expect(code(reply)).toEqual([500, "internal"]);
  expect(reply.body).not.toContain("secret");
  expect(errors).toEqual([new Error("secret")]);
});

test.each([true, false])(
  "a connection that closes before authorize resolves with %s leaves no waiter",
  async (allowed) => {
    let decide: ((allowed: boolean) => void) | undefined;
    const authorize = () => new Promise<boolean>((resolve) => (decide = resolve));
    const { feed, port, server } = await start({ authorize });
    let isClosed = false;
    server.on("request", (_, res: ServerResponse) => res.on("close", () => (isClosed = true)));
    const { socket } = dial(port, get("/?since=now&wait=60"));
    await until(() => decide !== undefined);
    socket.destroy();
    await until(() => isClosed);
    decide?.(allowed);
    await new Promise((resolve) => setImmediate(resolve));
    expect(feed.waiting).toBe(0);
  },
);
