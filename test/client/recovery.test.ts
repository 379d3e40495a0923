/** Recovery of the poll and of pending messages after outages, sleep and bad proxies: fake timers and a fake fetch. */
import { describe, expect, test, vi } from "vitest";
import { longPoll, type State } from "../../src/client/index.js";
import { type Answers, away, enter, holds, later, message, never, refused, reply } from "./fake-room.js";
import { fakeTime, pass, second, stopSignal } from "./fake-time.js";

fakeTime();
const html = (status: number) => new Response("<!doctype html><title>Blocked</title>", { status });

/** A room in which `server` answers polls and posts, or leaves them to a good one. */
function room(
  server: (kind: "poll" | "post", signal: AbortSignal) => Response | Promise<Response> | undefined,
) {
  const events = new EventTarget();
  /** When the poll became live, and when posts were kept. */
  const times: { live: number[]; posted: number[] } = { live: [], posted: [] };
  const fetch: typeof globalThis.fetch = async (url, init) => {
    const kind = String(url).includes("put_post") ? "post" : "poll";
    if (!init?.signal) throw new Error("a request without a signal");
    const answer = server(kind, init.signal);
    if (answer) return answer;
    if (kind === "poll") return holds({ query: new URL(String(url)).searchParams, signal: init.signal });
    times.posted.push(Date.now());
    return Response.json({ id: "1-0" });
  };
  const onState = ({ name }: State) => name === "live" && times.live.push(Date.now());
  const options = { base: "http://chat.test/", user: "ann", fetch, events, onState, signal: stopSignal() };
  const { batches, send } = longPoll(options);
  void (async () => {
    for await (const _ of batches);
  })();
  /** The time from the first live poll to the first kept post. */
  const lag = () => (times.posted[0] ?? Number.POSITIVE_INFINITY) - (times.live[0] ?? 0);
  return { times, send, lag };
}

describe("a pending message leaves within a second of the poll being live again", () => {
  test("after an outage that no event announces", async () => {
    vi.spyOn(Math, "random").mockReturnValue(1);
    let down = true;
    const { send, lag } = room(() => (down ? away() : undefined));
    await pass(20 * second);
    const sent = send("hello");
    await pass(10 * second); // the poll tries at 31 s, the post would by itself at 35 s
    down = false;
    await pass(5 * second);
    expect(await sent).toBe("1-0");
    expect(lag()).toBeLessThanOrEqual(second);
  });

  test("after a 503 whose Retry-After was longer than the outage", async () => {
    let down = true;
    const { send, lag } = room((kind) =>
      down ? refused(503, "draining", kind === "post" ? { "retry-after": "20" } : {}) : undefined,
    );
    const sent = send("hello");
    await pass(second);
    down = false;
    await pass(5 * second);
    expect(await sent).toBe("1-0");
    expect(lag()).toBeLessThanOrEqual(second);
  });

  test("after a sleep that left its connection dead", async () => {
    let dead = false;
    let posts = 0;
    const { times, send, lag } = room((kind, signal) => {
      if (kind === "poll") return dead ? never({ signal }) : undefined;
      return ++posts < 3 ? never({ signal }) : undefined;
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
    expect(lag()).toBeLessThanOrEqual(second);
  });
});

test("a post waits for the Retry-After of a 429, although the poll becomes live", async () => {
  let down = true;
  let posts = 0;
  const { times, send } = room((kind) => {
    if (kind === "poll") return down ? away() : undefined;
    return posts++ === 0 ? refused(429, "slow_down", { "retry-after": "20" }) : undefined;
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

  test("gets polls that it tolerates, and longer ones again once it does", async () => {
    let limit = 5;
    const { asked, states } = enter(proxy(() => limit));
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

  test.each([
    ["cuts every held poll after 0.3 s", () => later(300, () => html(504))],
    ["refuses every held poll at once", () => html(504)],
    ["answers every held poll at once, with nothing", () => reply("1-0")],
  ])("and one that %s gets a poll a second, and a message arrives within a second", async (_, cut) => {
    let cursor = "1-0";
    const { asked, states, texts } = enter(({ query }) => {
      if (query.get("wait") !== "0") return cut();
      return reply(cursor, cursor === "1-0" ? [] : [message("2-0")]);
    });
    await pass(20 * second);
    const before = asked.length;
    await pass(60 * second);
    expect(asked.length - before).toBe(60);
    expect(states.at(-1)).toEqual({ name: "live" });
    cursor = "2-0";
    await pass(second);
    expect(texts()).toEqual(["text of 2-0"]);
  });

  test("gets shorter polls too if it drops them silently", async () => {
    const { asked, states } = enter((poll) =>
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
  const { states, texts } = enter((poll) =>
    blocked ? html(status) : poll.query.get("since") === "now" ? reply("2-0", [message("2-0")]) : holds(poll),
  );
  await pass(120 * second);
  expect(states.at(-1)).toMatchObject({ code: "bad_answer" });
  blocked = false;
  await pass(60 * second);
  expect(states.at(-1)).toEqual({ name: "live" });
  expect(texts()).toEqual(["text of 2-0"]);
});

describe("after a wake-up", () => {
  test("six dead connections cost less than 20 s", async () => {
    let dead = 0;
    const events = new EventTarget();
    const { asked, states } = enter((poll) => (dead-- > 0 ? never(poll) : holds(poll)), { events });
    await pass(5 * second);
    dead = 6;
    events.dispatchEvent(new Event("online"));
    await pass(20 * second);
    expect(states.at(-1)).toEqual({ name: "live" });
    expect(asked.length).toBe(2 + 6 + 2);
  });

  test("and after a held poll that timed out, too", async () => {
    let dead = 7;
    const { asked, states } = enter((poll, n) => (n > 1 && dead-- > 0 ? never(poll) : holds(poll)));
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
    const { states } = enter(slow, { events });
    await pass(5 * second);
    events.dispatchEvent(new Event("online"));
    await pass(0);
    expect(states.at(-1)?.name).toBe("connecting");
    await pass(25 * second);
    expect(states.at(-1)).toEqual({ name: "live" });
  });
});
