/** Posts: fake timers and a fake fetch. */
import { getEventListeners } from "node:events";
import { expect, test, vi } from "vitest";
import { SendError, type State } from "../../src/client/index.js";
import { enter, fakeTime, fakeWindow, open, pass, second, stop, stopSignal } from "./fake.js";
import { type Answers, away, holds, html, never, refused } from "./replies.js";

fakeTime();
const kept = (id = "1-0") => Response.json({ id });

/** The result of a send. A rejection is a value here, so that it is never unhandled. */
const outcome = (sent: Promise<string>) => sent.catch((error: unknown) => error);

test("a message is posted as a form with a key, and send returns its id", async () => {
  const options = { base: "../../", user: "李/?", headers: { cookie: "session=x" } };
  const { posts, send } = open(() => kept("5-3"), options);
  expect(await send("a&b=c\n你好")).toBe("5-3");
  expect(posts.length).toBe(1);
  expect(posts[0]).toMatchObject({ url: "../../put_post/%E6%9D%8E%2F%3F", text: "a&b=c\n你好" });
  expect(posts[0]?.key).toMatch(/^[\d-]{7,43}$/);
  expect(posts[0]?.init).toMatchObject({
    method: "POST",
    cache: "no-store",
    keepalive: true,
    headers: {
      accept: "application/json",
      cookie: "session=x",
      "content-type": "application/x-www-form-urlencoded",
    },
  });
  // A browser allows 64 KiB for all requests that outlive their page.
  await send("x".repeat(40_000));
  expect(posts[1]?.init.keepalive).toBe(false);
  expect(posts[1]?.key).not.toBe(posts[0]?.key);
});

test.each<[string, () => Response | Promise<Response>]>([
  ["no network", away],
  ["503", () => refused(503, "store_unavailable")],
  ["429", () => refused(429, "slow_down")],
  ["401 of a firewall", () => html(401)],
  ["a login page", () => html(200)],
  ["an id under a bad status", () => Response.json({ id: "9-9" }, { status: 502 })],
  ["an id that is a number", () => Response.json({ id: 1 })],
])("a post without a good reply is repeated with the same key: %s", async (_, answer) => {
  const { posts, send } = open((_, n) => (n < 4 ? answer() : kept()));
  const sent = send("hello");
  await pass(8 * second);
  expect(await sent).toBe("1-0");
  expect(posts.length).toBe(4);
  expect(new Set(posts.map(({ key }) => key)).size).toBe(1);
});

test("a post that always fails is repeated a few times, then rejects, and is sent again with the same key", async () => {
  let answer: Answers = away;
  const { posts, send } = open((...args) => answer(...args));
  const sent = outcome(send("hello", "k"));
  await pass(60 * second);
  expect(await sent).toMatchObject({ name: "SendError", code: "unreachable", retryable: true });
  expect(posts.length).toBeGreaterThan(5);
  expect(posts.length).toBeLessThan(12);
  expect(vi.getTimerCount()).toBe(0);
  answer = holds;
  expect(await send("hello", "k")).toBe("1-0");
  expect(new Set(posts.map(({ key }) => key))).toEqual(new Set(["k"]));
});

test("a send waits for the Retry-After of a 429 in spite of a wake-up, and rejects after a minute", async () => {
  const window = fakeWindow();
  const { posts, send } = open(() => refused(429, "slow_down", { "retry-after": "40" }));
  const sent = outcome(send("hello"));
  await pass(5 * second);
  window.dispatchEvent(new Event("online"));
  await pass(35 * second - 1);
  expect(posts.length).toBe(1);
  await pass(2 * second);
  expect(posts.length).toBe(2);
  expect(await sent).toMatchObject({ name: "SendError", code: "slow_down", message: "said: slow_down" });
});

test("an attempt that hangs times out and is repeated", async () => {
  const { posts, send } = open((post, n) => (n === 1 ? never(post) : kept()));
  const sent = send("hello");
  await pass(17 * second);
  expect(await sent).toBe("1-0");
  expect(posts[0]?.signal.aborted).toBe(true);
});

test.each([
  [422, "bad_message"],
  [413, "too_large"],
  [401, "no_session"],
  [404, "not_found"],
])("an error in the protocol's format is final: %d %s", async (status, code) => {
  const { posts, send } = open(() => refused(status, code));
  const error = { name: "SendError", code, message: `said: ${code}`, retryable: false };
  expect(await outcome(send("hello"))).toMatchObject(error);
  expect([posts.length, vi.getTimerCount()]).toEqual([1, 0]);
});

test("sends keep the order of their calls, and continue after a failure", async () => {
  const { posts, send } = open((_, n) =>
    n === 1 ? refused(503, "draining") : n === 3 ? refused(422, "bad_message") : kept(),
  );
  const sent = ["a", "b", "c"].map((text) => outcome(send(text)));
  await pass(2 * second);
  expect(await Promise.all(sent)).toEqual(["1-0", expect.any(SendError), "1-0"]);
  expect(posts.map(({ text }) => text)).toEqual(["a", "a", "b", "c"]);
});

test.each<[string, Answers]>([
  ["a pause", away],
  ["an attempt", never],
])("the signal ends a send with its reason during %s, and nothing is left", async (_, answers) => {
  const { posts, send } = open(answers);
  const sent = outcome(send("hello"));
  await pass(5 * second);
  const before = posts.length;
  stop(new Error("left"));
  expect(await sent).toMatchObject({ message: "left" });
  expect([vi.getTimerCount(), getEventListeners(stopSignal(), "abort")]).toEqual([0, []]);
  await pass(60 * second);
  expect(posts.length).toBe(before);
});

/** Expects that a pending message is kept within a second of the poll being live again. */
async function expectSoon(sent: Promise<string>, states: readonly State[]): Promise<void> {
  const kept = vi.fn();
  void sent.then(kept);
  do await pass(100);
  while (states.at(-1)?.name !== "live");
  await pass(second);
  expect(kept).toHaveBeenCalledWith("1-0");
}

test.each<[string, Answers, number]>([
  ["an outage that no event announces", away, 20],
  [
    "a 503 whose Retry-After was longer than the outage",
    ({ isPost }) => refused(503, "draining", isPost ? { "retry-after": "20" } : {}),
    0,
  ],
])(
  "a pending message leaves within a second of the poll being live again, after %s",
  async (_, answers, before) => {
    vi.spyOn(Math, "random").mockReturnValue(1);
    let down = true;
    const { send, states } = enter((...asked) => (down ? answers(...asked) : holds(asked[0])));
    await pass(before * second);
    const sent = send("hello");
    await pass((before / 2) * second);
    down = false;
    await expectSoon(sent, states);
  },
);

test("a pending message leaves within a second of the poll, after a sleep that left its connection dead", async () => {
  let dead = false;
  const { send, states } = enter((asked, n) => ((asked.isPost ? n < 3 : dead) ? never(asked) : holds(asked)));
  await pass(second);
  dead = true;
  const sent = send("hello");
  await pass(0);
  vi.setSystemTime(Date.now() + 3_600_000);
  await pass(3 * second);
  dead = false;
  await expectSoon(sent, states);
});
