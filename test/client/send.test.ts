/** Posts: fake timers and a fake fetch. */
import { getEventListeners } from "node:events";
import { expect, test, vi } from "vitest";
import { longPoll, SendError, type SendOptions } from "../../src/client/index.js";
import { away, never, refused } from "./fake-room.js";
import { fakeTime, pass, second, stop, stopSignal } from "./fake-time.js";

fakeTime();
const kept = (id = "1-0") => Response.json({ id });

/** A room that gives these answers to posts, and records the posts. */
function enter(answers: (n: number, signal: AbortSignal) => Response | Promise<Response>, more = {}) {
  const posts: { url: string; init: RequestInit; key: string | null; text: string | null }[] = [];
  const fetch: typeof globalThis.fetch = async (url, init) => {
    if (!init?.signal) throw new Error("a post without a signal");
    const key = new Headers(init.headers).get("idempotency-key");
    posts.push({ url: String(url), init, key, text: new URLSearchParams(String(init.body)).get("message") });
    return answers(posts.length, init.signal);
  };
  return { posts, room: longPoll({ base: "../../", user: "ann", fetch, signal: stopSignal(), ...more }) };
}

/** The result of a send. A rejection is a value here, so that it is never unhandled. */
const outcome = (sent: Promise<string>) => sent.catch((error: unknown) => error);

test("a message is posted as a form with a key, and send returns its id", async () => {
  const { posts, room } = enter(() => kept("5-3"), { user: "李/?", headers: { cookie: "session=x" } });
  expect(await room.send("a&b=c\n你好")).toBe("5-3");
  expect(posts.length).toBe(1);
  expect(posts[0]).toMatchObject({ url: "../../put_post/%E6%9D%8E%2F%3F", text: "a&b=c\n你好" });
  expect(posts[0]?.key).toMatch(/^[0-9a-f]{32}$/);
  expect(posts[0]?.init).toMatchObject({
    method: "POST",
    cache: "no-store",
    credentials: "same-origin",
    keepalive: true,
    headers: {
      accept: "application/json",
      cookie: "session=x",
      "content-type": "application/x-www-form-urlencoded",
    },
  });
  await room.send("another");
  expect(posts[1]?.key).not.toBe(posts[0]?.key);
});

const lost: [string, () => Response | Promise<Response>][] = [
  ["no network", away],
  ["502 of a proxy", () => new Response("<h1>Bad gateway</h1>", { status: 502 })],
  ["503", () => refused(503, "store_unavailable")],
  ["429", () => refused(429, "slow_down")],
  ["404 of a proxy", () => new Response("no backend", { status: 404 })],
  ["401 of a firewall", () => new Response("<h1>Blocked</h1>", { status: 401 })],
  ["a login page", () => new Response("<form>", { status: 200 })],
  ["an id under a bad status", () => Response.json({ id: "9-9" }, { status: 502 })],
  ["an id that is a number", () => Response.json({ id: 1 })],
];

test.each(lost)("a post without a good reply is repeated with the same key: %s", async (_, answer) => {
  const { posts, room } = enter((n) => (n < 4 ? answer() : kept()));
  const sent = room.send("hello");
  await pass(8 * second);
  expect(await sent).toBe("1-0");
  expect(posts.length).toBe(4);
  expect(new Set(posts.map(({ key }) => key)).size).toBe(1);
});

test("a post that always fails is repeated a few times, and then rejects", async () => {
  const { posts, room } = enter(away);
  const sent = outcome(room.send("hello"));
  await pass(60 * second);
  expect(await sent).toBeInstanceOf(SendError);
  expect(posts.length).toBeGreaterThan(5);
  expect(posts.length).toBeLessThan(12);
  expect(vi.getTimerCount()).toBe(0);
});

test("a send waits for the Retry-After of a 429 in spite of a wake-up, and rejects beyond its limit", async () => {
  const events = new EventTarget();
  const { posts, room } = enter(() => refused(429, "slow_down", { "retry-after": "20" }), { events });
  const sent = outcome(room.send("hello", { limit: 30 }));
  await pass(5 * second);
  events.dispatchEvent(new Event("online"));
  await pass(15 * second - 1);
  expect(posts.length).toBe(1);
  await pass(11 * second);
  expect(posts.length).toBe(2);
  expect(await sent).toMatchObject({ name: "SendError", code: "slow_down", message: "said: slow_down" });
});

test("an attempt that hangs times out and is repeated", async () => {
  const { posts, room } = enter((n, signal) => (n === 1 ? never({ signal }) : kept()));
  const sent = room.send("hello");
  await pass(17 * second);
  expect(await sent).toBe("1-0");
  expect(posts[0]?.init.signal?.aborted).toBe(true);
});

test("an online event ends the pause of a send", async () => {
  vi.spyOn(Math, "random").mockReturnValue(1);
  const events = new EventTarget();
  const { room } = enter((n) => (n < 5 ? away() : kept()), { events });
  const sent = room.send("hello");
  await pass(8 * second); // into the wait of 8 s
  events.dispatchEvent(new Event("online"));
  await pass(0);
  expect(await sent).toBe("1-0");
});

test.each([
  [422, "bad_message"],
  [413, "too_large"],
  [415, "unsupported_type"],
  [401, "no_session"],
  [403, "not_you"],
  [403, "foreign_origin"],
  [404, "not_found"],
])("an error in the protocol's format is final: %d %s", async (status, code) => {
  const { posts, room } = enter(() => refused(status, code));
  expect(await outcome(room.send("hello"))).toMatchObject({
    name: "SendError",
    code,
    message: `said: ${code}`,
  });
  expect(posts.length).toBe(1);
  expect(vi.getTimerCount()).toBe(0);
});

test("a failed message is sent again with the key of its first time", async () => {
  const { posts, room } = enter((n) => (n === 1 ? away() : kept()));
  expect(await outcome(room.send("hello", { key: "k", limit: 0 }))).toMatchObject({ code: "unreachable" });
  expect(await room.send("hello", { key: "k" })).toBe("1-0");
  expect(posts.map(({ key }) => key)).toEqual(["k", "k"]);
});

test("sends keep the order of their calls, and continue after a failure", async () => {
  const { posts, room } = enter((n) =>
    n === 1 ? refused(503, "draining") : n === 3 ? refused(422, "bad_message") : kept(),
  );
  const sent = ["a", "b", "c"].map((text) => outcome(room.send(text)));
  await pass(2 * second);
  expect(await Promise.all(sent)).toEqual(["1-0", expect.any(SendError), "1-0"]);
  expect(posts.map(({ text }) => text)).toEqual(["a", "a", "b", "c"]);
});

test("a body too large for keepalive is sent without it", async () => {
  const { posts, room } = enter(() => kept());
  await room.send("x".repeat(40_000));
  expect(posts[0]?.init.keepalive).toBe(false);
});

const own = new AbortController();
test.each<[string, Parameters<typeof enter>[0], SendOptions]>([
  ["the room's signal, during a pause,", away, {}],
  ["the room's signal, during the last attempt,", (_, signal) => never({ signal }), { limit: 0 }],
  ["its own signal", away, { signal: own.signal }],
])("%s ends a send with its reason, and nothing is left", async (_, answers, options) => {
  const { signal = stopSignal() } = options;
  const { posts, room } = enter(answers);
  const sent = outcome(room.send("hello", options));
  await pass(5 * second);
  const before = posts.length;
  if (options.signal) own.abort(new Error("left"));
  else stop(new Error("left"));
  expect(await sent).toMatchObject({ message: "left" });
  expect([vi.getTimerCount(), getEventListeners(signal, "abort")]).toEqual([0, []]);
  await pass(60 * second);
  expect(posts.length).toBe(before);
});
