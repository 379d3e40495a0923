/** `follow` over real HTTP, against a small feed in this file. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, expectTypeOf, test, vi } from "vitest";
import { type FeedBatch, follow, type PollOptions, type State } from "../../src/client/index.js";

/** A feed as its clients see it. A cursor is the number of events before it, as an id. */
class FakeFeed {
  readonly events: unknown[] = [];
  readonly requests: IncomingMessage[] = [];
  /** Answers a request instead of the feed, if it returns true. */
  intercept: (req: IncomingMessage, res: ServerResponse) => boolean = () => false;
  /** The number of oldest events that are no longer kept. */
  pruned = 0;
  readonly #waiters = new Set<() => void>();
  readonly server = createServer((req, res) => {
    this.requests.push(req);
    if (this.intercept(req, res)) return;
    const query = new URL(req.url ?? "", "http://feed.test").searchParams;
    const since =
      query.get("since") === "now" ? this.events.length : Number.parseInt(query.get("since") ?? "", 10);
    const reply = () => {
      const from = Math.max(since, this.pruned);
      const gap = since > 0 && since < this.pruned ? { gap: true } : {};
      res.end(JSON.stringify({ cursor: `${this.events.length}-0`, events: this.events.slice(from), ...gap }));
    };
    if (this.events.length > since || query.get("wait") === "0") return reply();
    this.#waiters.add(reply);
    res.on("close", () => this.#waiters.delete(reply));
  });

  push(...events: unknown[]): void {
    this.events.push(...events);
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const reply of waiters) reply();
  }

  query(index: number): Record<string, string> {
    return Object.fromEntries(new URL(this.requests[index]?.url ?? "", "http://feed.test").searchParams);
  }
}

let feed: FakeFeed;
let url: string;
let stop: AbortController;

beforeEach(async () => {
  // The shortest backoff each time. The tests wait for events, not for it.
  vi.spyOn(Math, "random").mockReturnValue(0);
  stop = new AbortController();
  feed = new FakeFeed();
  feed.server.listen(0, "127.0.0.1");
  await once(feed.server, "listening");
  const { port } = feed.server.address() as AddressInfo;
  url = `http://127.0.0.1:${port}/progress`;
});

afterEach(async () => {
  stop.abort();
  vi.restoreAllMocks();
  const closed = once(feed.server, "close");
  feed.server.close();
  feed.server.closeAllConnections();
  await closed;
});

/** Follows the feed until there are `count` events. Calls `onBatch` with each batch. */
async function read(
  count: number,
  options: PollOptions = {},
  onBatch: (batch: FeedBatch) => void = () => {},
  address: string | URL = url,
): Promise<unknown[]> {
  const events: unknown[] = [];
  for await (const batch of follow(address, { signal: stop.signal, ...options })) {
    onBatch(batch);
    events.push(...batch.events);
    if (events.length >= count) break;
  }
  return events;
}

test("a follower receives every event as it was pushed, in order", async () => {
  const events = [{ progress: 0.5 }, "text", 7, null, [], { id: "not-ours", gap: true }];
  feed.push(...events.slice(0, 2));
  let next = 2;
  const got = await read(events.length, { since: "0" }, () => feed.push(...events.slice(next, ++next)));
  expect(got).toEqual(events);
});

test("the first poll is a probe, and the next ones are held with the same client", async () => {
  await read(1, { client: "me" }, () => feed.requests.length === 1 && setImmediate(() => feed.push(1)));
  expect(feed.query(0)).toEqual({ since: "now", wait: "0", client: "me" });
  expect(feed.query(1)).toEqual({ since: "0-0", wait: "25", client: "me" });
});

test("a URL keeps its own query and loses its fragment", async () => {
  feed.push(1);
  await read(1, { since: "0" }, () => {}, new URL(`${url}?job=7&x=%20#part`));
  expect(feed.requests[0]?.url).toMatch(/^\/progress\?job=7&x=%20&since=0&wait=0&client=[0-9a-f]{32}$/);
});

test("headers are sent with each request", async () => {
  feed.push(1);
  await read(1, { since: "0", headers: { authorization: "Bearer x" } });
  expect(feed.requests[0]?.headers).toMatchObject({ authorization: "Bearer x", accept: "application/json" });
});

test("a gap is reported with the batch that follows it", async () => {
  feed.push(1);
  const gaps: (true | undefined)[] = [];
  const got = await read(3, { since: "0" }, ({ gap }) => {
    gaps.push(gap);
    if (gaps.length > 1) return;
    feed.push(2, 3, 4);
    feed.pruned = 2;
  });
  expect([got, gaps]).toEqual([
    [1, 3, 4],
    [undefined, true],
  ]);
});

test("a cursor that the server refuses leads to everything that is kept, after a gap", async () => {
  feed.push(1, 2);
  feed.intercept = (req, res) => {
    if (!req.url?.includes("since=junk")) return false;
    res.writeHead(400).end('{"error":{"code":"bad_cursor","message":"no"}}');
    return true;
  };
  const batches: FeedBatch[] = [];
  await read(2, { since: "junk" }, (batch) => batches.push(batch));
  expect(batches).toEqual([{ cursor: "2-0", events: [1, 2], gap: true }]);
});

test("nothing is lost when connections break, replies are cut in half or a proxy answers", async () => {
  let turn = 0;
  feed.intercept = (req, res) => {
    turn++;
    if (turn % 4 === 0) req.socket.destroy();
    else if (turn % 4 === 1) res.writeHead(502).end("<h1>Bad gateway</h1>");
    else if (turn % 4 === 2)
      res.writeHead(200, { "content-length": 99 }).write('{"cursor":"9-0","ev', () => res.destroy());
    return turn % 4 !== 3;
  };
  feed.push(0);
  const got = await read(3, { since: "0" }, () => feed.push(feed.events.length));
  expect(got).toEqual([0, 1, 2]);
});

test.each([
  ["no events", { cursor: "1-0" }],
  ["events that are no list", { cursor: "1-0", events: {} }],
  ["no cursor", { events: [] }],
])("a reply with %s is retried", async (_, body) => {
  feed.push(1);
  feed.intercept = (_req, res) => {
    if (feed.requests.length > 1) return false;
    res.end(JSON.stringify(body));
    return true;
  };
  const states: State[] = [];
  expect(await read(1, { since: "0", onState: (state) => states.push(state) })).toEqual([1]);
  expect(states).toMatchObject([
    { name: "connecting" },
    { name: "waiting", code: "bad_answer" },
    { name: "connecting" },
    { name: "live" },
  ]);
});

test("a draining server is asked again", async () => {
  feed.push(1);
  feed.intercept = (_req, res) => {
    if (feed.requests.length > 1) return false;
    res.end('{"cursor":"0-0","events":[],"retry":300}');
    return true;
  };
  const states: State[] = [];
  expect(await read(1, { since: "0", onState: (state) => states.push(state) })).toEqual([1]);
  expect(states[2]).toMatchObject({ name: "waiting", code: "draining" });
});

describe("the loop ends", () => {
  const ends: [string, number, object, string][] = [
    ["superseded", 200, { cursor: "0-0", events: [], superseded: true }, "superseded"],
    ["no_session", 401, { error: { code: "no_session", message: "log in" } }, "no_session"],
    ["forbidden", 403, { error: { code: "forbidden", message: "not yours" } }, "refused"],
  ];
  test.each(ends)("with the reason of the server: %s", async (_, status, body, reason) => {
    feed.intercept = (_req, res) => {
      res.writeHead(status).end(JSON.stringify(body));
      return true;
    };
    const states: State[] = [];
    expect(await read(1, { onState: (state) => states.push(state) })).toEqual([]);
    expect(states.at(-1)).toMatchObject({ name: "stopped", reason });
    expect(feed.requests.length).toBe(1);
  });

  test("when the signal aborts, which closes the held connection", async () => {
    const held = new Promise<ServerResponse>((resolve) => {
      feed.server.on("request", (req, res) => req.url?.includes("wait=25") && resolve(res));
    });
    const reader = read(1);
    const closed = once(await held, "close");
    stop.abort();
    await closed;
    expect(await reader).toEqual([]);
  });

  test("when its consumer breaks, which ends polling", async () => {
    feed.push(1);
    await read(1, { since: "0" });
    expect(feed.requests.length).toBe(1);
  });
});

test("an option out of range throws before anything is asked", () => {
  expect(() => follow(url, { wait: 0 })).toThrow(RangeError);
  expect(() => follow(url, { timeoutSlack: 61 })).toThrow(RangeError);
});

test("the types are exact: events are unknown until they are checked", () => {
  expectTypeOf(follow).returns.toEqualTypeOf<AsyncGenerator<FeedBatch, void>>();
  expectTypeOf<FeedBatch["events"]>().toEqualTypeOf<readonly unknown[]>();
  expectTypeOf<FeedBatch["gap"]>().toEqualTypeOf<true | undefined>();
});
