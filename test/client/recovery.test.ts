/** Recovery of the poll and of pending messages after outages, sleep and bad proxies: fake timers and a fake fetch. */
import { describe, expect, test, vi } from "vitest";
import { longPoll, type State } from "../../src/client/index.js";
import { type Answers, enter, fakeTime, holds, message, never, refused, reply } from "./fake-room.js";

const second = 1000;
const stop = fakeTime();
const start = (answers: Answers, options = {}) => enter(answers, { signal: stop.signal(), ...options });
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const html = (status: number) => new Response("<!doctype html><title>Blocked</title>", { status });
const later = (ms: number, answer: () => Response) =>
  new Promise<Response>((resolve) => setTimeout(() => resolve(answer()), ms));

/** A room in which `server` answers polls and posts; `times` holds when the poll became live and when posts were kept. */
function room(server: (kind: "poll" | "post", signal: AbortSignal) => Promise<Response> | undefined) {
  const events = new EventTarget();
  const times: { live: number[]; posted: number[]; posts: number } = { live: [], posted: [], posts: 0 };
  const fetch: typeof globalThis.fetch = async (url, init) => {
    const kind = String(url).includes("put_post") ? "post" : "poll";
    if (!init?.signal) throw new Error("a request without a signal");
    if (kind === "post") times.posts++;
    const answer = server(kind, init.signal);
    if (answer) return answer;
    if (kind === "poll") return holds({ query: new URL(String(url)).searchParams, signal: init.signal });
    times.posted.push(Date.now());
    return Response.json({ id: "1-0" });
  };
  const onState = ({ name }: State) => name === "live" && times.live.push(Date.now());
  const { batches, send } = longPoll({
    base: "http://chat.test/",
    user: "ann",
    fetch,
    events,
    onState,
    signal: stop.signal(),
  });
  void (async () => {
    for await (const _ of batches);
  })();
  return { events, times, send };
}
const hang = (signal: AbortSignal) =>
  new Promise<Response>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));

describe("a pending message leaves within a second of the poll being live again", () => {
  test("after an outage that no event announces", async () => {
    vi.spyOn(Math, "random").mockReturnValue(1);
    let down = true;
    const { times, send } = room(() => (down ? Promise.reject(new TypeError("fetch failed")) : undefined));
    await pass(20 * second);
    const sent = send("hello");
    await pass(10 * second); // the poll tries at 31 s, the post would by itself at 35 s
    down = false;
    await pass(5 * second);
    expect(await sent).toBe("1-0");
    expect((times.posted[0] ?? 0) - (times.live[0] ?? 0)).toBeLessThanOrEqual(second);
  });

  test("after a 503 whose Retry-After was longer than the outage", async () => {
    let down = true;
    const { times, send } = room((kind) =>
      down
        ? Promise.resolve(refused(503, "draining", kind === "post" ? { "retry-after": "20" } : {}))
        : undefined,
    );
    const sent = send("hello");
    await pass(second);
    down = false;
    await pass(5 * second);
    expect(await sent).toBe("1-0");
    expect((times.posted[0] ?? 0) - (times.live[0] ?? 0)).toBeLessThanOrEqual(second);
  });

  test("after a sleep that left its connection dead", async () => {
    let dead = false;
    let posts = 0;
    const { times, send } = room((kind, signal) => {
      if (kind === "poll") return dead ? hang(signal) : undefined;
      return ++posts < 3 ? hang(signal) : undefined;
    });
    await pass(second);
    dead = true;
    const sent = send("hello");
    await pass(0);
    vi.setSystemTime(Date.now() + 3_600_000);
    await pass(3 * second);
    dead = false;
    times.live.length = 0;
    await pass(20 * second);
    expect(await sent).toBe("1-0");
    expect((times.posted[0] ?? Infinity) - (times.live[0] ?? 0)).toBeLessThanOrEqual(second);
  });
});

test("a post waits for the Retry-After of a 429, although the poll becomes live", async () => {
  let down = true;
  const { times, send } = room((kind) => {
    if (kind === "poll") return down ? Promise.reject(new TypeError("fetch failed")) : undefined;
    return times.posts === 1
      ? Promise.resolve(refused(429, "slow_down", { "retry-after": "20" }))
      : undefined;
  });
  const began = Date.now();
  const sent = send("hello");
  await pass(second);
  down = false;
  await pass(25 * second);
  expect(await sent).toBe("1-0");
  expect(times.live.length).toBeGreaterThan(0);
  expect((times.posted[0] ?? 0) - began).toBeGreaterThanOrEqual(20 * second);
});

describe("a proxy that ends held polls after 5 s", () => {
  /** Holds polls, but not longer than `limit` seconds. */
  const proxy =
    (limit: () => number): Answers =>
    (asked) => {
      const wait = Number(asked.query.get("wait"));
      if (wait > limit()) return later(limit() * second, () => html(504));
      return later(wait * second, () => reply("1-0"));
    };

  test("does not make the pauses grow, since it answers the probes", async () => {
    vi.spyOn(Math, "random").mockReturnValue(1);
    const pauses: number[] = [];
    const onState = (state: State) => {
      if (state.name === "waiting") pauses.push(state.until - Date.now());
    };
    // Whatever the wait, so that it cannot be escaped by a shorter one.
    start((asked) => (asked.query.get("wait") === "0" ? reply("1-0") : later(900, () => html(504))), {
      onState,
    });
    await pass(5 * second);
    expect(pauses.slice(0, 3)).toEqual([second, second, second]);
  });

  test("gets polls that it tolerates, and longer ones again once it does", async () => {
    let limit = 5;
    const { asked, states } = start(proxy(() => limit));
    await pass(60 * second);
    const failures = states.filter(({ name }) => name === "waiting").length;
    expect(failures).toBeLessThan(6);
    expect(Number(asked.at(-1)?.query.get("wait"))).toBeLessThanOrEqual(5);
    expect(states.at(-1)).toEqual({ name: "live" });
    await pass(600 * second);
    const later = states.filter(({ name }) => name === "waiting").length;
    expect(later - failures).toBeLessThan(5);
    limit = 60;
    await pass(3600 * second);
    expect(asked.at(-1)?.query.get("wait")).toBe("25");
  });

  test("gets shorter polls too if it drops them silently", async () => {
    const { asked, states } = start((poll) =>
      Number(poll.query.get("wait")) > 10
        ? never(poll)
        : later(Number(poll.query.get("wait")) * second, () => reply("1-0")),
    );
    await pass(180 * second);
    expect(Number(asked.at(-1)?.query.get("wait"))).toBeLessThanOrEqual(10);
    expect(states.at(-1)).toEqual({ name: "live" });
  });
});

test.each([400, 401, 403, 405, 410, 413, 431, 451])("an HTML %d does not end the poll", async (status) => {
  let blocked = true;
  const { states, texts } = start((poll) =>
    blocked ? html(status) : poll.query.get("since") === "now" ? reply("2-0", [message("2-0")]) : holds(poll),
  );
  await pass(120 * second);
  expect(states.at(-1)).toMatchObject({ code: "bad_answer" });
  blocked = false;
  await pass(60 * second);
  expect(states.at(-1)).toEqual({ name: "live" });
  expect(texts()).toEqual(["text of 2-0"]);
});

test.each([400, 401, 413])("an HTML %d does not end a send", async (status) => {
  let blocked = true;
  const { send } = room(() => (blocked ? Promise.resolve(html(status)) : undefined));
  const sent = send("hello");
  await pass(10 * second);
  blocked = false;
  await pass(20 * second);
  expect(await sent).toBe("1-0");
});

describe("after a wake-up", () => {
  test("six dead connections cost less than 20 s", async () => {
    let dead = 0;
    const events = new EventTarget();
    const { asked, states } = start((poll) => (dead-- > 0 ? never(poll) : holds(poll)), { events });
    await pass(5 * second);
    dead = 6;
    events.dispatchEvent(new Event("online"));
    await pass(20 * second);
    expect(states.at(-1)).toEqual({ name: "live" });
    expect(asked.length).toBe(2 + 6 + 2);
  });

  test("and after a held poll that timed out, too", async () => {
    let dead = 7;
    const { asked, states } = start((poll, n) => (n > 1 && dead-- > 0 ? never(poll) : holds(poll)));
    await pass(35 * second); // the held poll and its slack
    expect(asked.length).toBe(3);
    await pass(20 * second);
    expect(states.at(-1)).toEqual({ name: "live" });
  });

  test("a network that needs 4 s for each reply is live in the end", async () => {
    const events = new EventTarget();
    const slow: Answers = (poll) =>
      poll.query.get("wait") === "0"
        ? Promise.race([later(4 * second, () => reply("1-0")), never(poll)])
        : never(poll);
    const { states } = start(slow, { events });
    await pass(5 * second);
    events.dispatchEvent(new Event("online"));
    await pass(0);
    expect(states.at(-1)?.name).toBe("connecting");
    await pass(25 * second);
    expect(states.at(-1)).toEqual({ name: "live" });
  });
});
